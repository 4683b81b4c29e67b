#include "rpc/gateway/api/endpoints.h"
#include "rpc/gateway/api/upstream.h"
#include "rpc/gateway/http/answer.h"

void api_version(struct http_exchange *x)
{
	const struct gateway_daemons *all = api_context(x)->daemons;
	json_t *j = json_pack("{s:s, s:s}", "version", XV_VERSION, "commit", XV_COMMIT), *daemons = json_object();

	for (int i = 0; i < all->n; i++) {
		const struct xv_status *s = gateway_daemon_status(&all->daemon[i]);
		json_object_set_new(daemons, gateway_daemon_name(&all->daemon[i]),
				    s ? json_string(s->version) : json_null());
	}
	json_object_set_new(j, "daemons", daemons);
	http_answer_json(x, 200, j);
}
