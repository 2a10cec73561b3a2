package metrics

import "github.com/prometheus/client_golang/prometheus"

// discovery counts what is published and who follows.
type discovery struct {
	publishRequests  *prometheus.CounterVec
	followers        prometheus.Gauge
	followersRefused *prometheus.CounterVec
}

func newDiscovery(reg prometheus.Registerer) discovery {
	d := discovery{
		publishRequests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flink_ha_publish_requests_total",
			Help: "Reads and writes of what the leader's address is published in (configmap, endpointslice, file), by outcome (ok, conflict, forbidden, refused, unavailable).",
		}, []string{"object", "outcome"}),
		followers: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "flink_ha_followers",
			Help: "Followers that wait for the next leader at this sidecar.",
		}),
		followersRefused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flink_ha_followers_refused_total",
			Help: "Followers sent away because there are too many (full), or cut off because they do not read (slow).",
		}, []string{"reason"}),
	}
	reg.MustRegister(d.publishRequests, d.followers, d.followersRefused)
	return d
}

// Published counts one request for an object that the leader is published in.
func (d discovery) Published(object, outcome string) {
	d.publishRequests.WithLabelValues(object, outcome).Inc()
}

// Waiting counts followers that come (1) and go (-1).
func (d discovery) Waiting(change int) { d.followers.Add(float64(change)) }

// FollowerRefused counts one that was sent away (full) or cut off (slow).
func (d discovery) FollowerRefused(reason string) { d.followersRefused.WithLabelValues(reason).Inc() }
