/* What operators and load balancers ask over HTTP: /healthz, /readyz, /metrics, and what consumers do: /docs,
   /asyncapi.json. @thread any loop. */
#pragma once

#include "causeway/http.h"

struct worker;

/* @thread loop */
bool status_request(struct worker *w, const struct http_head *head, struct buffer *response);
