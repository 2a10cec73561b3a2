package leader

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// told is a view of a lock held in the given tenure, with what is published.
func told(tenure Tenure, published map[string]string) View {
	v := View{Lock: LockHeld, Tenure: tenure, Lease: testLease, Published: map[string]Publication{}}
	for component, value := range published {
		session, address, _ := strings.Cut(value, " ")
		v.Published[component] = Publication{Session: session, Address: address}
	}
	return v
}

func TestBindByOwner(t *testing.T) {
	ours := Self{IP: netip.MustParseAddr("10.0.0.1")}
	type node = Publication
	for _, tt := range []struct {
		name      string
		published map[string]Publication
		holder    string
		bad       bool
	}{
		{"nothing is published", nil, "", false},
		{"one session has published our address", map[string]node{Dispatcher: {"s", ourDispatcher, "S1"}, RESTServer: {"s", ourREST, "S1"}}, "S1", false},
		{"another session has published its own", map[string]node{Dispatcher: {"s", theirDispatcher, "S2"}}, "", false},
		{"two sessions have published ours", map[string]node{Dispatcher: {"s", ourDispatcher, "S1"}, RESTServer: {"s", ourREST, "S2"}}, "", true},
		{"the session has published another's address as well", map[string]node{Dispatcher: {"s", ourDispatcher, "S1"}, RESTServer: {"s", theirREST, "S1"}}, "", true},
		{"the node of our address has no owner", map[string]node{Dispatcher: {"s", ourDispatcher, ""}}, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			holder, why := BindByOwner(View{}, View{Published: tt.published}, ours)
			if holder != tt.holder || tt.bad != (why != "") {
				t.Errorf("BindByOwner = %q, %q; want %q, a reason: %t", holder, why, tt.holder, tt.bad)
			}
		})
	}
}

func TestBindByChange(t *testing.T) {
	tenure := Tenure{Generation: "uid-1", Holder: "H", Acquired: "t1"}
	again := Tenure{Generation: "uid-1", Holder: "H", Acquired: "t2"}
	other := Tenure{Generation: "uid-1", Holder: "G", Acquired: "t1"}
	anew := Tenure{Generation: "uid-2", Holder: "H", Acquired: "t1"}
	ours := Self{IP: netip.MustParseAddr("10.0.0.1")}
	fixed := Self{IP: ours.IP, Ports: map[string][]PortRange{Dispatcher: {{6123, 6123}, {7000, 7010}}}}
	shared := Self{IP: ours.IP, SharedNetwork: true, Ports: map[string][]PortRange{RESTServer: {{8081, 8090}}}}
	type values = map[string]string
	tests := map[string]struct {
		self       Self
		prev, next View
		holder     string
		why        string
	}{
		"the dispatcher appears at our address": {ours,
			told(tenure, nil), told(tenure, values{Dispatcher: "s " + ourDispatcher}), "H", ""},
		"the REST server appears at our address": {ours,
			told(tenure, nil), told(tenure, values{RESTServer: "s " + ourREST}), "H", ""},
		"the resource manager appears at our address": {ours,
			told(tenure, nil), told(tenure, values{ResourceManager: "s " + ourDispatcher}), "H", ""},
		"the same address with a new session is a write": {ours,
			told(tenure, values{Dispatcher: "s1 " + ourDispatcher}), told(tenure, values{Dispatcher: "s2 " + ourDispatcher}), "H", ""},
		"another's address is replaced by ours": {ours,
			told(tenure, values{RESTServer: "s1 " + theirREST}), told(tenure, values{RESTServer: "s2 " + ourREST}), "H", ""},
		"an address mapped into IPv6 is the same": {Self{IP: netip.MustParseAddr("::ffff:10.0.0.1")},
			told(tenure, nil), told(tenure, values{RESTServer: "s " + ourREST}), "H", ""},
		"the address of another is not ours": {ours,
			told(tenure, nil), told(tenure, values{Dispatcher: "s " + theirDispatcher}), "", ""},
		"our address that stood before and stands after was written by nobody": {ours,
			told(tenure, values{Dispatcher: "s " + ourDispatcher}), told(tenure, values{Dispatcher: "s " + ourDispatcher}), "", ""},
		"the removal of our address is no write of ours": {ours,
			told(tenure, values{Dispatcher: "s " + ourDispatcher, RESTServer: "s " + ourREST}), told(tenure, values{RESTServer: "s " + ourREST}), "", ""},
		"the removal of our last address is no write of ours": {ours,
			told(tenure, values{Dispatcher: "s " + ourDispatcher}), told(tenure, nil), "", ""},
		"the removal of another's address is no write of ours": {ours,
			told(tenure, values{Dispatcher: "s " + theirDispatcher}), told(tenure, nil), "", ""},
		"the key of a job never counts": {ours,
			told(tenure, nil), told(tenure, values{"job-0123": "s " + ourDispatcher}), "", ""},
		"the key of a job of Flink 1.18 never counts": {ours,
			told(tenure, nil), told(tenure, values{"0123456789abcdef0123456789abcdef": "s " + ourDispatcher}), "", ""},
		"a name never counts": {ours,
			told(tenure, nil), told(tenure, values{Dispatcher: "s " + nameDispatcher}), "", "may be any JobManager's"},
		"an address that does not parse never counts": {ours,
			told(tenure, nil), told(tenure, values{Dispatcher: "s 10.0.0.1"}), "", "parse address"},
		"the lock was taken together with the change": {ours,
			told(other, nil), told(tenure, values{Dispatcher: "s " + ourDispatcher}), "", ""},
		"the same holder took the lock anew together with the change": {ours,
			told(tenure, nil), told(again, values{Dispatcher: "s " + ourDispatcher}), "", ""},
		"the lock's object was made anew together with the change": {ours,
			told(tenure, nil), told(anew, values{Dispatcher: "s " + ourDispatcher}), "", ""},
		"nobody held the lock before": {ours,
			View{Lock: LockVacant}, told(tenure, values{Dispatcher: "s " + ourDispatcher}), "", ""},
		"nobody holds the lock after": {ours,
			told(tenure, nil), View{Lock: LockVacant, Tenure: tenure, Published: told(tenure, values{Dispatcher: "s " + ourDispatcher}).Published}, "", ""},
		"there was no object before": {ours,
			View{}, told(tenure, values{Dispatcher: "s " + ourDispatcher}), "", ""},
		"a port of ours": {fixed,
			told(tenure, nil), told(tenure, values{Dispatcher: "s pekko.tcp://flink@10.0.0.1:7010/user/rpc/dispatcher_1"}), "H", ""},
		"a port that is not ours": {fixed,
			told(tenure, nil), told(tenure, values{Dispatcher: "s pekko.tcp://flink@10.0.0.1:6124/user/rpc/dispatcher_1"}), "", "port 6124"},
		"a component without a fixed port may use any": {fixed,
			told(tenure, nil), told(tenure, values{RESTServer: "s http://10.0.0.1:41234"}), "H", ""},
		"a fixed port on a shared network": {shared,
			told(tenure, nil), told(tenure, values{RESTServer: "s " + ourREST}), "H", ""},
		"another's port on a shared network": {shared,
			told(tenure, nil), told(tenure, values{RESTServer: "s http://10.0.0.1:8091"}), "", "port 8091"},
		"a component without a fixed port on a shared network": {shared,
			told(tenure, nil), told(tenure, values{Dispatcher: "s " + ourDispatcher}), "", "network is shared"},
		"a component that cannot count does not spoil one that does": {shared,
			told(tenure, nil), told(tenure, values{Dispatcher: "s " + ourDispatcher, RESTServer: "s " + ourREST}), "H", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			holder, why := BindByChange(tt.prev, tt.next, tt.self)
			if holder != tt.holder || !strings.Contains(why, tt.why) || (tt.why == "") != (why == "") {
				t.Errorf("BindByChange = %q, %q; want %q, %q", holder, why, tt.holder, tt.why)
			}
		})
	}
}

// Binding as Decide does it, from one view to the next.
func TestBinding(t *testing.T) {
	tests := map[string]struct {
		play func(x *script)
		want Outcome
	}{
		"a grant seen from its beginning binds when the first address appears": {func(x *script) {
			x.leads("A", 1)
		}, Leading},
		"the first view binds nothing": {func(x *script) {
			x.runs(1)
			x.acquire("A").publish(Dispatcher, "s", ourDispatcher).shows()
		}, Unbound},
		"a first view that shows our address binds at the next write of the leader": {func(x *script) {
			x.runs(1)
			x.acquire("A").publish(Dispatcher, "s", ourDispatcher).shows()
			x.publish(RESTServer, "s", ourREST).shows()
			x.looks(1)
		}, Leading},
		"stale addresses of ours that are removed by another leader do not bind it": {func(x *script) {
			x.runs(1)
			x.vacate().publish(Dispatcher, "s", ourDispatcher).publish(RESTServer, "s", ourREST).shows()
			x.acquire("B").shows()
			x.unpublish(Dispatcher).shows()
			x.unpublish(RESTServer).shows()
			x.publish(RESTServer, "s2", theirREST).shows()
		}, Standby},
		"a leader that came and went between two views is not taken for the next one": {func(x *script) {
			x.runs(1)
			x.acquire("A").shows()
			x.publish(Dispatcher, "s", ourDispatcher) // not seen
			x.acquire("B").shows()
		}, Unbound},
		"the same holder before and after another's time binds nothing": {func(x *script) {
			x.runs(1)
			x.acquire("B").shows()
			x.now = x.now.Add(time.Second)
			x.acquire("A").publish(Dispatcher, "s", ourDispatcher) // not seen
			x.now = x.now.Add(time.Second)
			x.acquire("B").shows()
			x.renew().shows()
		}, Unbound},
		"a view from the past after an interruption binds nothing": {func(x *script) {
			x.runs(1)
			x.vacate().publish(Dispatcher, "s", ourDispatcher).shows()
			x.acquire("B")
			old := x.lock
			x.shows()
			x.publish(Dispatcher, "s2", theirDispatcher).shows()
			x.step(Interrupted{"closed"})
			old.Resync = true
			x.step(Viewed{old}) // our address of before B appears again
		}, Unbound},
		"a change seen after an interruption binds, for the tenure has lasted": {func(x *script) {
			x.runs(1)
			x.acquire("A").shows()
			x.step(Interrupted{"closed"})
			x.publish(Dispatcher, "s", ourDispatcher)
			x.lock.Resync = true
			x.shows()
			x.looks(1)
		}, Leading},
		"two JobManager processes bind nothing": {func(x *script) {
			x.runs(1, 2)
			x.acquire("A").shows()
			x.publish(Dispatcher, "s", ourDispatcher).shows()
			x.looks(1, 2)
		}, Unbound},
		"no JobManager process binds nothing": {func(x *script) {
			x.acquire("A").shows()
			x.publish(Dispatcher, "s", ourDispatcher).shows()
			x.looks()
		}, Observing},
		"the next write of the leader gives another chance": {func(x *script) {
			x.runs(1)
			x.acquire("A").shows()
			x.publish(RESTServer, "s", ourREST).shows()
			x.looks()
			x.publish(Dispatcher, "s", ourDispatcher).shows()
			x.looks(1)
		}, Leading},
		"a look that nobody asked for binds nothing": {func(x *script) {
			x.acquire("A").shows()
			x.publish(Dispatcher, "s", ourDispatcher).shows()
			x.runs(1)
			x.step(Looked{Evidence: x.evidence(), For: "A"})
		}, Observing},
		"a bound holder is never bound to another process": {func(x *script) {
			x.leads("A", 1)
			x.runs(2)
			x.publish(Dispatcher, "s", ourDispatcher).shows()
			if x.d.Action.Kind != ActionNone {
				x.Errorf("a known holder led to %s", x.d.Action.Kind)
			}
			if b, _ := x.state.binding("A"); b.Process != process(1) {
				x.Errorf("A is bound to %v", b.Process)
			}
		}, Leading},
		"with the guard off nothing is bound": {func(x *script) {
			x.runs(1)
			x.step(Refused{"a Service name"})
			x.acquire("A").shows()
			x.publish(Dispatcher, "s", ourDispatcher).shows()
		}, GuardOff},
		"a guard that is switched off during the look binds nothing": {func(x *script) {
			x.runs(1)
			x.acquire("A").shows()
			x.publish(Dispatcher, "s", ourDispatcher).shows()
			x.wants(ActionLook)
			x.step(Refused{"a Service name"})
			x.step(Looked{Evidence: x.evidence(1), For: "A"})
		}, GuardOff},
		"what the command line says counts from then on": {func(x *script) {
			x.runs(1)
			x.acquire("A").shows()
			self := x.rules.Self
			self.Ports = map[string][]PortRange{RESTServer: {{9000, 9000}}}
			x.step(Identified{self})
			x.publish(RESTServer, "s", ourREST).shows()
		}, Unbound},
		"a kubelet's word from before the lock was acquired binds": {func(x *script) {
			x.runs(1)
			x.now = x.now.Add(time.Second)
			x.acquire("A").shows()
			x.publish(Dispatcher, "s", ourDispatcher).shows()
			e := x.evidence(1)
			e.Started, e.Proof = x.now.Add(-time.Second), ProofContainerStatus
			x.wants(ActionLook)
			x.step(Looked{Evidence: e, For: "A"})
		}, Leading},
		"a kubelet's word of a container that started after the lock was acquired does not": {func(x *script) {
			x.runs(1)
			x.acquire("A").shows()
			x.publish(Dispatcher, "s", ourDispatcher).shows()
			e := x.evidence(1)
			e.Started, e.Proof = x.now, ProofContainerStatus
			x.wants(ActionLook)
			x.step(Looked{Evidence: e, For: "A"})
		}, Unbound},
		"a holder that is ours by name only is not bound": {func(x *script) {
			x.runs(1)
			x.acquire("A").shows()
			x.publish(Dispatcher, "s", nameDispatcher).shows()
		}, Unbound},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			x := newScript(t)
			tt.play(x)
			if x.d.Outcome != tt.want {
				t.Errorf("the outcome is %s (%s), want %s", x.d.Outcome, x.d.Reason, tt.want)
			}
			if x.state.wantLook != "" {
				t.Errorf("a look at the processes for %s is still wanted", x.state.wantLook)
			}
			if got := x.count(HolderBound) > 0; got != (tt.want == Leading) {
				t.Errorf("a holder was bound: %t", got)
			}
		})
	}
}
