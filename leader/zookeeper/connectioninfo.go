package zookeeper

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// maxInfo bounds a connection_info: what Flink writes has some 150 bytes.
const maxInfo = 64 << 10

// Of java.io.ObjectStreamConstants.
const (
	streamHeader    = "\xac\xed\x00\x05"
	tcObject        = 0x73
	tcBlockData     = 0x77
	tcBlockDataLong = 0x7a
)

// uuidClass is what stands between the tag of an object and its fields if it is a
// java.util.UUID: the class descriptor with name, serialVersionUID, flags
// (serializable), the fields leastSigBits and mostSigBits, and no superclass.
const uuidClass = "\x72\x00\x0ejava.util.UUID\xbc\x99\x03\xf7\x98\x6d\x85\x2f\x02\x00\x02" +
	"J\x00\x0cleastSigBitsJ\x00\x0bmostSigBits\x78\x70"

// connectionInfo is the content of a connection_info node.
type connectionInfo struct {
	Session string // a UUID
	Address string
}

// parseConnectionInfo reads what Flink's ZooKeeperLeaderElectionDriver writes with
// a Java ObjectOutputStream: writeUTF(address), then the session's UUID as an
// object. It reads exactly that and nothing else; classes are compared, never
// looked up.
func parseConnectionInfo(data []byte) (connectionInfo, error) {
	if len(data) > maxInfo {
		return connectionInfo{}, fmt.Errorf("%d bytes, at most %d are read", len(data), maxInfo)
	}
	if len(data) < len(streamHeader) || string(data[:len(streamHeader)]) != streamHeader {
		return connectionInfo{}, errors.New("not a Java object stream")
	}
	block, rest, err := blockData(data[len(streamHeader):])
	if err != nil {
		return connectionInfo{}, err
	}
	if len(block) < 2 || int(binary.BigEndian.Uint16(block)) != len(block)-2 {
		return connectionInfo{}, errors.New("the first value is not one string")
	}
	address := string(block[2:])
	for _, c := range []byte(address) {
		if c <= ' ' || c > '~' {
			return connectionInfo{}, fmt.Errorf("the address holds the byte %#02x", c)
		}
	}
	const bits = 16
	if len(rest) != 1+len(uuidClass)+bits || rest[0] != tcObject || string(rest[1:1+len(uuidClass)]) != uuidClass {
		return connectionInfo{}, errors.New("the second value is not one java.util.UUID")
	}
	least, most := rest[len(rest)-bits:len(rest)-bits/2], rest[len(rest)-bits/2:]
	session := fmt.Sprintf("%x-%x-%x-%x-%x", most[:4], most[4:6], most[6:], least[:2], least[2:])
	return connectionInfo{Session: session, Address: address}, nil
}

// blockData joins the records of primitive data at the beginning: Java begins a
// new one every 1024 bytes.
func blockData(data []byte) (block, rest []byte, err error) {
	for len(data) > 0 && (data[0] == tcBlockData || data[0] == tcBlockDataLong) {
		var header, size int
		switch {
		case data[0] == tcBlockData && len(data) >= 2:
			header, size = 2, int(data[1])
		case data[0] == tcBlockDataLong && len(data) >= 5:
			header, size = 5, int(binary.BigEndian.Uint32(data[1:5]))
		default:
			return nil, nil, errors.New("cut off")
		}
		if size < 0 || size > len(data)-header {
			return nil, nil, errors.New("cut off")
		}
		block = append(block, data[header:header+size]...)
		data = data[header+size:]
	}
	return block, data, nil
}
