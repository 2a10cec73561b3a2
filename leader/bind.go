package leader

import (
	"fmt"
	"net/netip"
	"slices"
)

// PortRange is a range of ports, both ends included.
type PortRange struct{ Low, High uint16 }

// Self says by which published addresses our JobManager is known.
type Self struct {
	// IP is this pod's own address. Names never count: behind a Service name
	// every JobManager of the cluster publishes the same one.
	IP netip.Addr
	// Ports narrows by component: where a component has ranges, a published port
	// outside of them is another JobManager's. A component without an entry may
	// use any port (Flink draws a random one unless told otherwise).
	Ports map[string][]PortRange
	// SharedNetwork says that other JobManagers may run at IP as well (host
	// network). Then only components with an entry in Ports count.
	SharedNetwork bool
}

// Owns reports whether address, published by component, is ours, and if not why.
func (s Self) Owns(component, address string) (bool, string) {
	a, err := ParseAddress(address)
	if err != nil {
		return false, err.Error()
	}
	if !a.IsIPLiteral() {
		return false, fmt.Sprintf("%s is published at the name %q, which may be any JobManager's", component, a.Host)
	}
	if a.IP.Unmap() != s.IP.Unmap() {
		return false, ""
	}
	ranges, fixed := s.Ports[component]
	if !fixed {
		if s.SharedNetwork {
			return false, fmt.Sprintf("%s has no fixed port and this network is shared", component)
		}
		return true, ""
	}
	for _, r := range ranges {
		if r.Low <= a.Port && a.Port <= r.High {
			return true, ""
		}
	}
	return false, fmt.Sprintf("%s is published at our address but at port %d, which this JobManager is not configured for", component, a.Port)
}

// ownsPart is Owns for any component: the address of a job is at the dispatcher's
// port, since both are endpoints of one RPC system.
func (s Self) ownsPart(component, address string) (bool, string) {
	if !slices.Contains(Components, component) {
		component = Dispatcher
	}
	return s.Owns(component, address)
}

// BindByChange is the rule for a lock that names its holder apart from the
// addresses, as Flink's Kubernetes HA does: next is bound to our JobManager if
// the same tenure stood before and after, and within it one of Components
// changed to a value with our address. Only the holder writes there
// (KubernetesLeaderElectionDriver checks the annotation in the same
// compare-and-swap), so whoever wrote our address holds the lock and is ours.
//
// It returns the holder to bind, or why it cannot be. A removal never counts,
// nor a first view that already shows our address: that value may be a dead
// leader's.
func BindByChange(prev, next View, self Self) (holder, why string) {
	if prev.Lock != LockHeld || next.Lock != LockHeld || prev.Tenure != next.Tenure {
		return "", ""
	}
	for _, c := range Components {
		now, there := next.Published[c]
		if !there || prev.Published[c] == now {
			continue
		}
		ours, because := self.Owns(c, now.Address)
		if ours {
			return next.Tenure.Holder, ""
		}
		if because != "" {
			why = because
		}
	}
	return "", why
}

// BindByOwner is the rule for a lock whose store says who wrote each address, as
// ZooKeeper does by the session that owns a node: a session is bound to our
// JobManager if it has published our address and no other one, and nobody else
// has published ours.
func BindByOwner(_, next View, self Self) (holder, why string) {
	for c, p := range next.Published {
		if ours, _ := self.ownsPart(c, p.Address); !ours || p.Owner == "" {
			continue
		}
		if holder != "" && holder != p.Owner {
			return "", "two sessions have published this JobManager's address"
		}
		holder = p.Owner
	}
	if next.Contenders != nil && !slices.Contains(next.Contenders, holder) {
		return "", "" // it has left the queue; another of ours may have come since
	}
	for c, p := range next.Published {
		if ours, _ := self.ownsPart(c, p.Address); holder != "" && p.Owner == holder && !ours {
			return "", fmt.Sprintf("the session that published this JobManager's address has published %s for %s as well", p.Address, c)
		}
	}
	return holder, ""
}

// Shows reports whether any component of v is published at our address.
func (s Self) Shows(v View) bool {
	for _, c := range Components {
		if p, ok := v.Published[c]; ok {
			if ours, _ := s.Owns(c, p.Address); ours {
				return true
			}
		}
	}
	return false
}
