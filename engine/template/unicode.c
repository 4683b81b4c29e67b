/* unicode.c - the character properties that Python's str methods use. */
#include <locale.h>
#include <pthread.h>
#include <wctype.h>
#include "engine/template/inside.h"

static locale_t utf8_locale;
static void open_locale(void)
{
	utf8_locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}
static locale_t ctype(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, open_locale);
	return utf8_locale;
}

int utf8_next(const char *s, size_t len, uint32_t *c)
{
	const uint8_t *u = (const uint8_t *)s;
	int n = u[0] < 0x80 ? 1 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;

	if ((size_t)n > len)
		n = (int)len;
	*c = n == 1 ? u[0] : u[0] & (0xff >> (n + 1));
	for (int i = 1; i < n; i++)
		*c = *c << 6 | (u[i] & 0x3f);
	return n;
}

bool char_is_space(uint32_t c)
{
	if (c < 0x80)
		return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20);
	return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
	       c == 0x202f || c == 0x205f || c == 0x3000;
}

/* repr() escapes characters of the categories Cc, Cf, Cs, Co, Cn, Zl, Zp and Zs, but not the space. */
bool char_is_printable(uint32_t c)
{
	static const uint32_t hidden[][2] = {
		{0x7f, 0xa0},       {0xad, 0xad},       {0x600, 0x605},     {0x61c, 0x61c},     {0x6dd, 0x6dd},
		{0x70f, 0x70f},     {0x890, 0x891},     {0x8e2, 0x8e2},     {0x1680, 0x1680},   {0x180e, 0x180e},
		{0x2000, 0x200f},   {0x2028, 0x202f},   {0x205f, 0x2064},   {0x2066, 0x206f},   {0x3000, 0x3000},
		{0xd800, 0xf8ff},   {0xfeff, 0xfeff},   {0xfff9, 0xfffb},   {0x110bd, 0x110bd}, {0x110cd, 0x110cd},
		{0x13430, 0x1343f}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0001, 0xe007f}, {0xf0000, 0x10ffff},
	};

	if (c < 0x7f)
		return c >= 0x20;
	for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
		if (c >= hidden[i][0] && c <= hidden[i][1])
			return false;
	return !ctype() || iswprint_l(c, ctype());
}

bool char_is_alpha(uint32_t c)
{
	return c < 0x80 ? (c | 32) >= 'a' && (c | 32) <= 'z' : ctype() && iswalpha_l(c, ctype());
}
bool char_is_digit(uint32_t c)
{
	return c >= '0' && c <= '9';
}

/* Unicode 14, Numeric_Type=Decimal: the zeros of each script; the other nine digits follow each. */
bool char_is_decimal(uint32_t c)
{
	static const uint32_t zeros[] = {
		0x30,    0x660,   0x6f0,   0x7c0,   0x966,   0x9e6,   0xa66,   0xae6,   0xb66,   0xbe6,   0xc66,
		0xce6,   0xd66,   0xde6,   0xe50,   0xed0,   0xf20,   0x1040,  0x1090,  0x17e0,  0x1810,  0x1946,
		0x19d0,  0x1a80,  0x1a90,  0x1b50,  0x1bb0,  0x1c40,  0x1c50,  0xa620,  0xa8d0,  0xa900,  0xa9d0,
		0xa9f0,  0xaa50,  0xabf0,  0xff10,  0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0,
		0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60,
		0x16ac0, 0x16b50, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
	};

	for (size_t i = 0; i < sizeof zeros / sizeof *zeros; i++)
		if (c - zeros[i] < 10)
			return true;
	return c >= 0x1d7ce && c <= 0x1d7ff; /* five mathematical alphabets */
}

/* Numeric_Type=Digit: superscripts, digits in circles, ... */
bool char_is_any_digit(uint32_t c)
{
	static const uint32_t ranges[][2] = {
		{0xb2, 0xb3},     {0xb9, 0xb9},       {0x1369, 0x1371},   {0x19da, 0x19da},   {0x2070, 0x2070},
		{0x2074, 0x2079}, {0x2080, 0x2089},   {0x2460, 0x2468},   {0x2474, 0x247c},   {0x2488, 0x2490},
		{0x24ea, 0x24ea}, {0x24f5, 0x24fd},   {0x24ff, 0x24ff},   {0x2776, 0x277e},   {0x2780, 0x2788},
		{0x278a, 0x2792}, {0x10a40, 0x10a43}, {0x10e60, 0x10e68}, {0x11052, 0x1105a}, {0x1f100, 0x1f10a},
	};

	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
		if (c >= ranges[i][0] && c <= ranges[i][1])
			return true;
	return char_is_decimal(c);
}
bool char_is_upper(uint32_t c)
{
	return c < 0x80 ? c >= 'A' && c <= 'Z' : ctype() && iswupper_l(c, ctype());
}
bool char_is_lower(uint32_t c)
{
	return c < 0x80 ? c >= 'a' && c <= 'z' : ctype() && iswlower_l(c, ctype());
}

int to_lower(uint32_t c, uint32_t out[3])
{
	if (c == 0x130)
		return out[0] = 'i', out[1] = 0x307, 2;
	if (c < 0x80)
		out[0] = c >= 'A' && c <= 'Z' ? c + 32 : c;
	else
		out[0] = ctype() ? towlower_l(c, ctype()) : c;
	return 1;
}

/* Includes the commonest characters that become several. */
int to_upper(uint32_t c, uint32_t out[3])
{
	static const uint32_t several[][4] = {{0xdf, 'S', 'S', 0},     {0x149, 0x2bc, 'N', 0},  {0x1f0, 'J', 0x30c, 0},
					      {0xfb00, 'F', 'F', 0},   {0xfb01, 'F', 'I', 0},   {0xfb02, 'F', 'L', 0},
					      {0xfb03, 'F', 'F', 'I'}, {0xfb04, 'F', 'F', 'L'}, {0xfb05, 'S', 'T', 0},
					      {0xfb06, 'S', 'T', 0}};

	if (c < 0x80)
		return out[0] = c >= 'a' && c <= 'z' ? c - 32 : c, 1;
	for (size_t i = 0; i < sizeof several / sizeof *several; i++)
		if (several[i][0] == c) {
			memcpy(out, several[i] + 1, sizeof *out * 3);
			return out[2] ? 3 : 2;
		}
	out[0] = ctype() ? towupper_l(c, ctype()) : c;
	return 1;
}
