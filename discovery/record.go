package discovery

import (
	"strconv"
	"time"
)

// The keys of the ConfigMap's data, and of a file of variables.
const (
	keyFormat     = "format"
	keyGeneration = "generation"
	keyEpoch      = "epoch"
	keySince      = "since"
	keySession    = "session"
	keyRPCHost    = "rpc-host"
	keyRPCPort    = "rpc-port"
	keyRESTURL    = "rest-url"
	keyBlobPort   = "blob-port"
	keyPod        = "pod"
	keyNode       = "node"
)

// Keys lists every key of the record, in the order in which it is told.
var Keys = []string{keyFormat, keyGeneration, keyEpoch, keySince, keySession, keyRPCHost, keyRPCPort, keyRESTURL, keyBlobPort, keyPod, keyNode}

// Record is l as keys and values. What is not known has no key.
func (l Leader) Record() map[string]string {
	r := map[string]string{
		keyFormat: strconv.Itoa(Format), keyGeneration: l.Epoch.Generation, keyEpoch: strconv.FormatUint(l.Epoch.Counter, 10),
	}
	set := func(key, value string) {
		if value != "" {
			r[key] = value
		}
	}
	if !l.Since.IsZero() {
		set(keySince, l.Since.UTC().Format(time.RFC3339Nano))
	}
	set(keySession, l.Session)
	set(keyRPCHost, l.RPCHost)
	set(keyRPCPort, port(l.RPCPort))
	set(keyRESTURL, l.RESTURL)
	set(keyBlobPort, port(l.BlobPort))
	set(keyPod, l.Pod)
	set(keyNode, l.Node)
	return r
}

// FromRecord reads a record. ok is false if it carries no epoch: then it tells
// nothing. Keys that it does not know it ignores.
func FromRecord(r map[string]string) (l Leader, ok bool) {
	counter, err := strconv.ParseUint(r[keyEpoch], 10, 64)
	if err != nil || r[keyGeneration] == "" {
		return Leader{}, false
	}
	l = Leader{
		Format: Format, Epoch: Epoch{Generation: r[keyGeneration], Counter: counter}, Session: r[keySession],
		RPCHost: r[keyRPCHost], RESTURL: r[keyRESTURL], Pod: r[keyPod], Node: r[keyNode],
	}
	// What does not parse is as good as absent.
	l.Since, _ = time.Parse(time.RFC3339Nano, r[keySince])
	l.RPCPort, l.BlobPort = parsePort(r[keyRPCPort]), parsePort(r[keyBlobPort])
	return l, true
}

// Withdrawn is what is left of l when its cluster is gone: the epoch, so that
// nothing older comes back, and no address.
func (l Leader) Withdrawn() Leader { return Leader{Format: Format, Epoch: l.Epoch} }

func port(p uint16) string {
	if p == 0 {
		return ""
	}
	return strconv.Itoa(int(p))
}

func parsePort(text string) uint16 {
	p, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(p)
}
