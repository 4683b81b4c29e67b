#include "parallel/shard.h"

#include "base/base.h"

enum { EXPERT_LEAVES = 8 };                /* each leaf of each expert leaves a partial of its own, so there are few */
enum { FFN_GROUP = 32, VOCAB_GROUP = 64 }; /* int8 and int4 scales cover 32 columns; a panel holds up to 64 words */

/* floor(n * i / of), without overflow */
static int cut(int n, int i, int of)
{
	return (int)((int64_t)n * i / of);
}

int leaf_parts(int first, int count, struct part *parts)
{
	int n = 0;

	while (count > 0) {
		int size = first ? first & -first : SHARD_MAX_LEAVES;

		while (size > count)
			size /= 2;
		REQUIRE(n < SHARD_MAX_PARTS);
		parts[n++] = (struct part){first, size};
		first += size;
		count -= size;
	}
	return n;
}

int split_parts(const struct split *s, struct part *parts)
{
	return leaf_parts(s->first, s->count, parts);
}

struct span split_columns(const struct split *s)
{
	int first = s->start[s->first];

	return (struct span){first, s->start[s->first + s->count] - first};
}

struct span split_leaves(int n_leaves, int rank, int size)
{
	int first = (n_leaves * rank + size - 1) / size;

	return (struct span){first, (n_leaves * (rank + 1) + size - 1) / size - first};
}

struct split split_whole(int length)
{
	return (struct split){.n_leaves = 1, .first = 0, .count = 1, .start = {0, length}};
}

static struct split split_owned(int n_leaves, int rank, int size)
{
	struct span own = split_leaves(n_leaves, rank, size);

	return (struct split){.n_leaves = n_leaves, .first = own.first, .count = own.count};
}

static int leaves_of_heads(int heads)
{
	int n = SHARD_MAX_LEAVES;

	while (n > heads)
		n /= 2;
	return n;
}

int shard_max_ranks(const struct shard_shape *shape)
{
	return leaves_of_heads(shape->heads);
}

static struct span heads_of(const struct shard_shape *p, const struct split *o)
{
	int first = cut(p->heads, o->first, o->n_leaves);

	return (struct span){first, cut(p->heads, o->first + o->count, o->n_leaves) - first};
}

static struct split split_o(const struct shard_shape *p, int rank, int size)
{
	struct split s = split_owned(leaves_of_heads(p->heads), rank, size);

	for (int j = 0; j <= s.n_leaves; j++)
		s.start[j] = p->head_dim * cut(p->heads, j, s.n_leaves);
	return s;
}

static struct split split_ffn(int ffn, int leaves, int rank, int size)
{
	struct split s = split_owned(leaves, rank, size);
	int groups = div_up(ffn, FFN_GROUP);

	for (int j = 0; j <= s.n_leaves; j++)
		s.start[j] = min_int(ffn, FFN_GROUP * cut(groups, j, s.n_leaves));
	return s;
}

static struct split split_vocab(const struct shard_shape *p, int rank, int size)
{
	struct split s = split_owned(size, rank, size);
	int groups = div_up(p->vocab, VOCAB_GROUP);

	for (int j = 0; j <= size; j++)
		s.start[j] = min_int(p->vocab, VOCAB_GROUP * cut(groups, j, size));
	return s;
}

struct shard shard_make(const struct shard_shape *p, int rank, int size)
{
	struct shard s = {.rank = rank, .size = size};
	int per_kv, last;

	REQUIRE(p->hidden > 0 && p->heads > 0 && p->head_dim > 0 && p->ffn > 0 && p->vocab > 0);
	REQUIRE(p->kv_heads > 0 && p->heads % p->kv_heads == 0);
	REQUIRE(size >= 1 && size <= shard_max_ranks(p) && rank >= 0 && rank < size);
	s.hidden = split_whole(p->hidden);
	s.o = split_o(p, rank, size);
	s.down = split_ffn(p->ffn, SHARD_MAX_LEAVES, rank, size);
	s.expert = split_ffn(p->expert_ffn, EXPERT_LEAVES, rank, size);
	s.shared = split_ffn(p->shared_ffn, EXPERT_LEAVES, rank, size);
	s.vocab_sum = split_vocab(p, rank, size);
	s.heads = heads_of(p, &s.o);
	per_kv = p->heads / p->kv_heads;
	last = (s.heads.first + s.heads.count - 1) / per_kv;
	s.kv_heads.first = s.heads.first / per_kv;
	s.kv_heads.count = last + 1 - s.kv_heads.first;
	s.ffn = split_columns(&s.down);
	s.vocab = split_columns(&s.vocab_sum);
	return s;
}
