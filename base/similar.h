/* similar.h - "did you mean": the name that is most like what a user gave. */
#ifndef BASE_SIMILAR_H
#define BASE_SIMILAR_H

/* Begin with {.given = text}, then try names; they must outlive this. */
struct similar {
	const char *given;
	const char *best; /* of the names that were tried; NULL: none was */
	int least;        /* edits from `given` to `best`; less where one begins with the other */
};

void similar_try(struct similar *s, const char *name);
/* The best one, or NULL where so much differs that it is hardly what was meant. */
const char *similar_name(const struct similar *s);

#endif
