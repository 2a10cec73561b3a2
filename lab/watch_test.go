package lab

import (
	"maps"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func lockObject(holder, acquired string, data map[string]string) *v1.ConfigMap {
	record := `{"holderIdentity":"` + holder + `","leaseDuration":15.000000000,"acquireTime":"` + acquired + `","renewTime":"r","leaderTransitions":0}`
	return &v1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{UID: "u", Annotations: map[string]string{leaderAnnotation: record}},
		Data:       data,
	}
}

func TestLockWatchTellsFreshAddressesFromThoseLeftBehind(t *testing.T) {
	const key = leaderKeyPrefix + "dispatcher"
	one := "s1,pekko.tcp://flink@127.1.1.11:6123/user/rpc/dispatcher_1"
	two := "s2,pekko.tcp://flink@127.1.1.12:6123/user/rpc/dispatcher_1"
	w := &LockWatch{changed: make(chan struct{})}
	for i, step := range []struct {
		name   string
		object *v1.ConfigMap
		leader string
	}{
		{"no lock yet", nil, ""},
		{"granted, nothing published", lockObject("a", "1", nil), ""},
		{"published", lockObject("a", "1", map[string]string{key: one}), "127.1.1.11"},
		{"renewed", lockObject("a", "1", map[string]string{key: one}), "127.1.1.11"},
		{"freed", lockObject("", "1", map[string]string{key: one}), ""},
		{"the next is granted, the old address still there", lockObject("b", "2", map[string]string{key: one}), ""},
		{"the old address removed", lockObject("b", "2", nil), ""},
		{"the next has published", lockObject("b", "2", map[string]string{key: two}), "127.1.1.12"},
		{"removed again in an orderly end", lockObject("b", "2", nil), ""},
		{"the same process holds it anew", lockObject("b", "3", map[string]string{key: two}), ""},
	} {
		w.add(step.object, false)
		if got := w.Last().LeaderIP(); got != step.leader {
			t.Errorf("step %d, %s: leader %q, want %q", i, step.name, got, step.leader)
		}
	}
	if n := len(w.Versions()); n != 10 {
		t.Errorf("%d versions, want 10", n)
	}
}

func TestReadLock(t *testing.T) {
	for name, row := range map[string]struct {
		record, holder string
		free           bool
	}{
		"held":                  {`{"holderIdentity":"a","leaseDuration":"PT15S"}`, "a", false},
		"freed by the sidecar":  {`{"holderIdentity":"","leaseDuration":"PT15S"}`, "", true},
		"released by Flink":     {`{"holderIdentity":null,"leaseDuration":"PT1S"}`, "", true},
		"no record is not free": {``, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			v := readLock(&v1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{leaderAnnotation: row.record}},
				Data:       map[string]string{leaderKeyPrefix + "restserver": "s,http://127.1.1.11:8081", "counter": "7"},
			}, LockVersion{})
			if v.Holder != row.holder || v.Free() != row.free || v.Record != row.record {
				t.Errorf("got %+v", v)
			}
			if want := map[string]string{"restserver": "http://127.1.1.11:8081"}; !maps.Equal(v.Addresses, want) {
				t.Errorf("addresses %v, want %v", v.Addresses, want)
			}
		})
	}
}
