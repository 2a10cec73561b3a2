package zookeeper

import (
	"encoding/hex"
	"strings"
	"testing"
)

// writtenByFlink are connection_info nodes of running clusters.
var writtenByFlink = map[string]struct {
	data string
	want connectionInfo
}{
	"Flink 2.3.0, dispatcher": {
		"aced0005773d003b70656b6b6f2e7463703a2f2f666c696e6b403132372e3133372e3136382e31323a363132332f757365722f7270632f646973706174636865725f31" + javaUUID + "9e26ec90e51b70414ad98f69ee48482c",
		connectionInfo{"4ad98f69-ee48-482c-9e26-ec90e51b7041", "pekko.tcp://flink@127.137.168.12:6123/user/rpc/dispatcher_1"},
	},
	"Flink 1.18.1, REST server": {
		"aced0005771b0019687474703a2f2f3132372e3230352e39362e31313a38303831" + javaUUID + "81e1ea9bd58a66d781f12b15f7b94abc",
		connectionInfo{"81f12b15-f7b9-4abc-81e1-ea9bd58a66d7", "http://127.205.96.11:8081"},
	},
}

const javaUUID = "7372000e6a6176612e7574696c2e55554944bc9903f7986d852f0200024a000c6c65617374536967426974734a000b6d6f7374536967426974737870"

func TestWhatFlinkWritesIsRead(t *testing.T) {
	for name, row := range writtenByFlink {
		t.Run(name, func(t *testing.T) {
			got, err := parseConnectionInfo(decode(t, row.data))
			if err != nil || got != row.want {
				t.Errorf("read %+v, %v; want %+v", got, err, row.want)
			}
		})
	}
}

func TestALongAddressIsReadFromSeveralBlocks(t *testing.T) {
	address := "http://" + strings.Repeat("a", 2000) + ":8081"
	utf := string([]byte{byte(len(address) >> 8), byte(len(address))}) + address
	data := streamHeader
	for len(utf) > 0 {
		n := min(1024, len(utf))
		data += string([]byte{tcBlockDataLong, 0, 0, byte(n >> 8), byte(n)}) + utf[:n]
		utf = utf[n:]
	}
	data += string(decode(t, javaUUID)) + strings.Repeat("\x01", 16)
	got, err := parseConnectionInfo([]byte(data))
	if err != nil || got.Address != address {
		t.Errorf("read an address of %d bytes, %v; want %d", len(got.Address), err, len(address))
	}
}

func TestWhatFlinkDoesNotWriteIsRefused(t *testing.T) {
	good := string(decode(t, writtenByFlink["Flink 2.3.0, dispatcher"].data))
	address, _, _ := strings.Cut(good, "sr\x00\x0e")
	for name, row := range map[string]struct{ data, says string }{
		"text":                        {"127.0.0.1:6123", "not a Java object stream"},
		"a header alone":              {streamHeader, "not one string"},
		"cut in the address":          {good[:20], "cut off"},
		"cut in the UUID":             {good[:len(good)-1], "not one java.util.UUID"},
		"something after the UUID":    {good + "\x70", "not one java.util.UUID"},
		"null for the UUID":           {address + "\x70", "not one java.util.UUID"},
		"another class":               {strings.Replace(good, "java.util.UUID", "java.util.UUIE", 1), "not one java.util.UUID"},
		"another serialVersionUID":    {strings.Replace(good, "\xbc\x99", "\xbc\x98", 1), "not one java.util.UUID"},
		"a longer string than data":   {strings.Replace(good, "\x00\x3bpekko", "\x00\x3cpekko", 1), "not one string"},
		"a shorter string than data":  {strings.Replace(good, "\x00\x3bpekko", "\x00\x3apekko", 1), "not one string"},
		"a block of four GiB":         {streamHeader + "\x7a\xff\xff\xff\xff", "cut off"},
		"a line break in the address": {strings.Replace(good, "pekko", "pek\nko", 1), ""},
		"more than is read":           {good + strings.Repeat("x", maxInfo), "at most"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseConnectionInfo([]byte(row.data))
			if err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("read %+v, %v; want an error with %q", got, err, row.says)
			}
		})
	}
}

func FuzzConnectionInfo(f *testing.F) {
	for _, row := range writtenByFlink {
		data, err := hex.DecodeString(row.data)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(streamHeader + "\x7a\x00\x00\x00\x02\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := parseConnectionInfo(data)
		if err == nil && (len(got.Session) != 36 || len(got.Address) > len(data)) {
			t.Errorf("read %+v", got)
		}
	})
}

func decode(t *testing.T, text string) []byte {
	t.Helper()
	data, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
