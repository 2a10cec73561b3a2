package jobmanager

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestSocketsOfAProcessAreItsOwn(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Logf("no sockets at %s here: %v", address, err)
			continue
		}
		defer l.Close()
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		want := Socket{Local: ends(t, conn.LocalAddr()), Remote: ends(t, conn.RemoteAddr())}
		sockets, exact, err := Sockets(os.Getpid())
		if err != nil || !exact || !slices.Contains(sockets, want) {
			t.Errorf("%v, exact %t, %v; want %v among them", sockets, exact, err, want)
		}
		conn.Close()
		l.Close()
		if sockets, _, _ = Sockets(os.Getpid()); slices.Contains(sockets, want) {
			t.Errorf("%v is listed although it is closed", want)
		}
	}
}

func TestSocketsWithoutOpenFilesAreTheWholeNetworks(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may look at everybody's open files")
	}
	if _, exact, err := Sockets(1); exact || err != nil {
		t.Errorf("exact %t, %v; want those of the network, and to be told so", exact, err)
	}
}

func TestSocketTableIsReadAsTheKernelWritesIt(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:E0D4 0102A87F:0885 01 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0000000000000000 20 4 30 10 -1
   1: 0100007F:E0D5 0102A87F:0885 06 00000000:00000000 03:00000000 00000000     0        0 0 3 0000000000000000
   2: 0100007F:E0D6 0102A87F:0885 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0000000000000000 20 4 30 10 -1
   3: 00000000:0885 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4713 1 0000000000000000 100 0 0 10 0
`
	file := filepath.Join(t.TempDir(), "tcp")
	if err := os.WriteFile(file, []byte(table), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := readTable(file, func(inode string) bool { return inode != "4712" })
	want := []Socket{{netip.MustParseAddrPort("127.0.0.1:57556"), netip.MustParseAddrPort("127.168.2.1:2181")}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("read %v, %v; want %v", got, err, want)
	}
}

func ends(t *testing.T, a net.Addr) netip.AddrPort {
	t.Helper()
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		t.Fatalf("%v is no TCP address", a)
	}
	return netip.AddrPortFrom(tcp.AddrPort().Addr().Unmap(), tcp.AddrPort().Port())
}
