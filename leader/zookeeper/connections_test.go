package zookeeper

import (
	"net/netip"
	"slices"
	"testing"
)

func TestConnectionsAreReadAsServersTellThem(t *testing.T) {
	const text = ` /127.0.0.1:57462[1](queued=0,recved=82,sent=82,sid=0x10000394c180004,lop=GETC,est=1795386997287,to=10000,lcxid=0x51)
 /127.0.0.1:57466[0](queued=0,recved=1,sent=0)
 /0:0:0:0:0:ffff:a00:5:54482[1](queued=0,recved=14,sent=15,sid=0xff00394c180001,lop=GETD)
 /fd00:0:0:0:0:0:0:5:54482[1](queued=0,recved=14,sent=15,sid=0x1)
 /10.0.0.5:1[1](queued=0,recved=14,sent=15,sid=0x0)
 /10.0.0.5:99999[1](queued=0,sid=0x2)
cut off
`
	server := netip.MustParseAddrPort("10.0.0.9:2181")
	want := []Connection{
		{netip.MustParseAddrPort("127.0.0.1:57462"), server, "0x10000394c180004", 82},
		{netip.MustParseAddrPort("10.0.0.5:54482"), server, "0xff00394c180001", 14},
		{netip.MustParseAddrPort("[fd00::5]:54482"), server, "0x1", 14},
	}
	if got := parseConnections(text, server); !slices.Equal(got, want) {
		t.Errorf("read %v, want %v", got, want)
	}
}
