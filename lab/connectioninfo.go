package lab

import "encoding/binary"

// ConnectionInfo is what Flink writes into a connection_info node: an address and
// a leader session ID, as Java's ObjectOutputStream writes a string and a UUID. The
// session's lower eight bytes come first.
func ConnectionInfo(address string, session [16]byte) []byte {
	data := append([]byte("\xac\xed\x00\x05\x77"), byte(len(address)+2))
	data = binary.BigEndian.AppendUint16(data, uint16(len(address)))
	data = append(data, address...)
	data = append(data, "sr\x00\x0ejava.util.UUID\xbc\x99\x03\xf7\x98\x6d\x85\x2f\x02\x00\x02J\x00\x0cleastSigBitsJ\x00\x0bmostSigBitsxp"...)
	return append(append(data, session[8:]...), session[:8]...)
}
