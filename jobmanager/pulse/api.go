package pulse

import (
	"context"
	"errors"

	"flink-ha-sidecar/jobmanager/rest"
)

// API asks the REST API at base, and returns Flink's version if it tells.
func API(ctx context.Context, client *rest.Client, base string) (Answer, string) {
	config, err := client.Config(ctx, base)
	a := Answer{Asked: true, OK: rest.Answered(err)}
	var status *rest.StatusError
	switch {
	case err == nil, errors.As(err, &status): // 503 is a standby's good answer while nobody leads
	case a.OK:
		a.Detail = "it answers, but not as it should: " + err.Error()
	default:
		a.Detail = trouble(err)
	}
	return a, config.Version
}
