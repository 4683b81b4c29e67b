/* format.c - formats of JSON Schema as regular expressions over the whole value (RFC 3339, 4122, 5321, 1123, 2673,
 * 4291, 3986, 6901). Each is a subset of what its RFC allows: what is generated is valid, and rare forms are left out.
 */
#include "engine/grammar/inside.h"

#include <string.h>

#define D "[0-9]"
#define HEX "[0-9a-fA-F]"
/* The 29th of February exists in years that 4 divides, but 100 does not, or 400 does. */
#define LEAP "(?:" D D "(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26]|00)00)"
#define DATE \
	"(?:" D "{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]" D "|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]" D \
	"|30)|02-(?:0[1-9]|1" D "|2[0-8]))|" LEAP "-02-29)"
#define CLOCK "(?:[01]" D "|2[0-3]):[0-5]" D ":[0-5]" D "(?:\\." D "{1,9})?"
#define ZONE "(?:Z|[+-](?:[01]" D "|2[0-3]):[0-5]" D ")"
#define LABEL "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
#define BYTE "(?:25[0-5]|2[0-4]" D "|1" D D "|[1-9]?" D ")"
#define IPV4 BYTE "(?:\\." BYTE "){3}"
#define H16 HEX "{1,4}"
#define LS32 "(?:" H16 ":" H16 "|" IPV4 ")"
#define IPV6 \
	"(?:(?:" H16 ":){6}" LS32 "|::(?:" H16 ":){5}" LS32 "|(?:" H16 ")?::(?:" H16 ":){4}" LS32 "|(?:(?:" H16 \
	":){0,1}" H16 ")?::(?:" H16 ":){3}" LS32 "|(?:(?:" H16 ":){0,2}" H16 ")?::(?:" H16 ":){2}" LS32 "|(?:(?:" H16 \
	":){0,3}" H16 ")?::" H16 ":" LS32 "|(?:(?:" H16 ":){0,4}" H16 ")?::" LS32 "|(?:(?:" H16 ":){0,5}" H16 \
	")?::" H16 "|(?:(?:" H16 ":){0,6}" H16 ")?::)"
#define URI_CHAR "(?:[a-zA-Z0-9._~!$&'()*+,;=:@-]|%" HEX HEX ")"
#define URI_TAIL "(?:/" URI_CHAR "*)*(?:\\?(?:" URI_CHAR "|[/?])*)?(?:#(?:" URI_CHAR "|[/?])*)?"
#define POINTER "(?:/(?:[^~/\\x00-\\x1f]|~[01])*)*"

static const struct {
	const char *name, *regex;
} formats[] = {
	{"date-time", DATE "T" CLOCK ZONE},
	{"date", DATE},
	{"time", CLOCK ZONE},
	{"duration",
	 "P(?:" D "+W|(?:" D "+Y(?:" D "+M(?:" D "+D)?)?|" D "+M(?:" D "+D)?|" D "+D)(?:T(?:" D "+H(?:" D "+M(?:" D
	 "+S)?)?|" D "+M(?:" D "+S)?|" D "+S))?|T(?:" D "+H(?:" D "+M(?:" D "+S)?)?|" D "+M(?:" D "+S)?|" D "+S))"},
	{"email",
	 "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+(?:\\.[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+)*@" LABEL "(?:\\." LABEL "){1,3}"},
	{"hostname", LABEL "(?:\\." LABEL "){0,2}"},
	{"ipv4", IPV4},
	{"ipv6", IPV6},
	{"uuid", HEX "{8}-" HEX "{4}-" HEX "{4}-" HEX "{4}-" HEX "{12}"},
	{"uri", "https?://(?:" LABEL "(?:\\." LABEL ")*|\\[" IPV6 "\\])(?::[1-9]" D "{0,3})?" URI_TAIL
		"|(?:urn|mailto|ftp|file|tel|data):" URI_CHAR "+(?:[/]" URI_CHAR "*)*"},
	{"uri-reference", URI_TAIL "|https?://" LABEL "(?:\\." LABEL ")*" URI_TAIL},
	{"json-pointer", POINTER},
	{"relative-json-pointer", "(?:0|[1-9]" D "{0,8})(?:#|" POINTER ")"},
	{"byte", "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"},
};

const char *format_regex(const char *name)
{
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
		if (!strcmp(formats[i].name, name))
			return formats[i].regex;
	return NULL;
}
