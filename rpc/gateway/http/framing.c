#include "rpc/gateway/http/framing.h"

#include <string.h>
#include <strings.h>

static bool refuse(struct http_framing *f, int status, const char *why)
{
	f->status = status;
	f->why = why;
	return false;
}

/* RFC 9110, 5.6.2 */
static bool is_token_char(char c)
{
	return c && strchr("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", c);
}

static bool is_text(char c)
{
	return ((unsigned char)c >= 0x20 || c == '\t') && c != 0x7f;
}

static void start_line(struct http_framing *f)
{
	f->line_len = 0;
	f->line[0] = 0;
	f->cr = false;
}

static void message_over(struct http_framing *f)
{
	*f = (struct http_framing){.complete = f->complete + 1};
}

static bool request_line_over(struct http_framing *f)
{
	const char *v = f->tail;

	if (!f->line_len) /* RFC 9112, 2.2: empty lines before a request are skipped */
		return true;
	if (f->line_len < sizeof f->tail || strncmp(v, " HTTP/", 6) || v[7] != '.')
		return refuse(f, 400, "the request line does not end in HTTP/1.1 or HTTP/1.0");
	if (strcmp(v + 6, "1.1") && strcmp(v + 6, "1.0"))
		return refuse(f, 505, "only HTTP/1.0 and HTTP/1.1 are supported");
	f->http10 = v[8] == '0';
	f->state = FRAMING_HEADER;
	return true;
}

/* Returns the value of the line with blanks behind it, as libmicrohttpd keeps them, too; NULL if the line is longer
 * than what is kept of it. */
static const char *value_of(struct http_framing *f, size_t name_len)
{
	if (f->line_len > FRAMING_NAME)
		return NULL;
	f->line[f->line_len] = 0;
	return f->line + name_len + 1 + strspn(f->line + name_len + 1, " \t");
}

static bool take_length(struct http_framing *f, const char *value)
{
	size_t n = value ? strlen(value) : 0;

	if (f->sized || f->coded)
		return refuse(f, 400,
			      f->sized ? "more than one Content-Length" : "both Content-Length and Transfer-Encoding");
	if (!n || strspn(value, "0123456789") != n)
		return refuse(f, 400, "Content-Length must be a number");
	if (n > 18)
		return refuse(f, 413, "Content-Length has more than 18 digits");
	f->sized = true;
	f->left = 0;
	for (; *value; value++)
		f->left = f->left * 10 + (uint64_t)(*value - '0');
	return true;
}

static bool take_coding(struct http_framing *f, const char *value)
{
	if (f->sized || f->coded)
		return refuse(f, 400,
			      f->coded ? "more than one Transfer-Encoding"
				       : "both Content-Length and Transfer-Encoding");
	if (f->http10)
		return refuse(f, 400, "HTTP/1.0 does not allow Transfer-Encoding");
	if (value && (!*value || strchr(" \t", value[strlen(value) - 1])))
		return refuse(f, 400, "Transfer-Encoding is empty or has blanks behind it");
	if (!value || strcasecmp(value, "chunked"))
		return refuse(f, 501, "Transfer-Encoding must be chunked");
	f->coded = true;
	return true;
}

/* Some parsers confuse a name that only begins with Content-Length, Transfer-Encoding or Host with that header. */
static bool field_over(struct http_framing *f)
{
	static const char *const framing_names[] = {"Content-Length", "Transfer-Encoding", "Host"};
	size_t n = 0;

	while (n < f->line_len && n < FRAMING_NAME && is_token_char(f->line[n]))
		n++;
	if (!n || n == FRAMING_NAME || n == f->line_len || f->line[n] != ':')
		return refuse(f, 400, "a header line does not begin with a name and a colon");
	for (size_t i = 0; i < 3; i++) {
		size_t own = strlen(framing_names[i]);
		if (n < own || strncasecmp(f->line, framing_names[i], own))
			continue;
		if (n > own)
			return refuse(
				f, 400,
				"a header's name begins with Host, Content-Length or Transfer-Encoding and is not one of them");
		if (f->state == FRAMING_TRAILER)
			return refuse(f, 400, "a trailer must not be named Host, Content-Length or Transfer-Encoding");
		return i == 0 ? take_length(f, value_of(f, n)) : i == 1 ? take_coding(f, value_of(f, n)) : true;
	}
	return true;
}

static void head_over(struct http_framing *f)
{
	f->total = 0;
	f->lines = 0;
	if (f->coded)
		f->state = FRAMING_SIZE;
	else if (f->sized && f->left)
		f->state = FRAMING_BODY;
	else
		message_over(f);
}

static bool line_over(struct http_framing *f)
{
	bool ok = true;

	if (f->state == FRAMING_REQUEST)
		ok = request_line_over(f);
	else if (f->line_len)
		ok = ++f->lines <= FRAMING_LINES ? field_over(f) : refuse(f, 431, "the head has more than 64 lines");
	else if (f->state == FRAMING_TRAILER)
		message_over(f);
	else
		head_over(f);
	if (ok)
		start_line(f);
	return ok;
}

static bool check_size(struct http_framing *f)
{
	size_t most = f->state == FRAMING_TRAILER ? FRAMING_TRAILER_BYTES : FRAMING_HEAD_BYTES;

	if (f->state == FRAMING_REQUEST && f->line_len > FRAMING_REQUEST_LINE)
		return refuse(f, 414, "the request line has more than 8 KiB");
	return ++f->total <= most || refuse(f, 431,
					    f->state == FRAMING_TRAILER ? "the trailer has more than 4 KiB"
									: "the head has more than 16 KiB");
}

/* Reads a line of the head or the trailer. A bare LF may end one in a head: that is old custom and not ambiguous. */
static bool take_line(struct http_framing *f, char c)
{
	if (!check_size(f))
		return false;
	if (c == '\n')
		return f->cr || f->state != FRAMING_TRAILER ? line_over(f)
							    : refuse(f, 400, "a trailer line ends in a bare LF");
	if (f->cr)
		return refuse(f, 400, "a CR must be followed by LF");
	if (c == '\r')
		return f->cr = true;
	if (!is_text(c) || (c == '\t' && f->state == FRAMING_REQUEST))
		return refuse(f, 400, "a header line has characters that are not allowed");
	if (!f->line_len && f->state != FRAMING_REQUEST && (c == ' ' || c == '\t'))
		return refuse(f, 400, "a header line is folded");
	if (f->line_len < FRAMING_NAME)
		f->line[f->line_len] = c;
	if (f->state == FRAMING_REQUEST) {
		memmove(f->tail, f->tail + 1, sizeof f->tail - 2);
		f->tail[sizeof f->tail - 2] = c;
	}
	f->line_len++;
	return true;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | (c >= 'A' && c <= 'F' ? 0x20 : 0)) : NULL;

	return at ? (int)(at - digits) : -1;
}

static bool size_line_over(struct http_framing *f)
{
	if (!f->cr)
		return refuse(f, 400, "a chunk's size line ends in a bare LF");
	if (!f->line_len)
		return refuse(f, 400, "a chunk must have a size");
	f->state = f->left ? FRAMING_DATA : FRAMING_TRAILER;
	start_line(f);
	return true;
}

/* "1f;name=value" CRLF. line[0] remembers that the extension has begun. */
static bool take_size(struct http_framing *f, char c)
{
	int digit = hex_digit(c);

	if (c == '\n')
		return size_line_over(f);
	if (f->cr)
		return refuse(f, 400, "a CR in a chunk's size line must be followed by LF");
	if (c == '\r')
		return f->cr = true;
	if (++f->line_len > FRAMING_CHUNK_LINE)
		return refuse(f, 400, "a chunk's size line has more than 1 KiB");
	if (f->line[0] == ';')
		return is_text(c) || refuse(f, 400, "a chunk extension has a control character");
	if (c == ';' && f->line_len > 1) {
		f->line[0] = ';';
		return true;
	}
	if (digit < 0)
		return refuse(f, 400, "a chunk's size must be a hexadecimal number");
	if (f->left >> 56)
		return refuse(f, 413, "a chunk's size has more than 56 bits");
	f->left = f->left << 4 | (uint64_t)digit;
	return true;
}

static bool take_data_end(struct http_framing *f, char c)
{
	if (!f->cr)
		return c == '\r' ? (f->cr = true) : refuse(f, 400, "a chunk is longer than its size says");
	if (c != '\n')
		return refuse(f, 400, "a chunk's data must end in CRLF");
	f->state = FRAMING_SIZE;
	start_line(f);
	return true;
}

static size_t skip_body(struct http_framing *f, size_t len)
{
	size_t n = f->left < len ? (size_t)f->left : len;

	f->left -= n;
	if (f->left)
		return n;
	if (f->state == FRAMING_BODY)
		message_over(f);
	else
		f->state = FRAMING_DATA_END, start_line(f);
	return n;
}

size_t http_framing_feed(struct http_framing *f, const char *data, size_t len)
{
	size_t whole = 0, i = 0;

	while (i < len && !f->status) {
		uint64_t before = f->complete;
		switch (f->state) {
		case FRAMING_BODY:
		case FRAMING_DATA:
			i += skip_body(f, len - i);
			break;
		case FRAMING_SIZE:
			take_size(f, data[i++]);
			break;
		case FRAMING_DATA_END:
			take_data_end(f, data[i++]);
			break;
		default:
			take_line(f, data[i++]);
		}
		if (f->complete != before)
			whole = i;
	}
	return whole;
}
