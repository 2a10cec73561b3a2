package resume

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// ErrUnknownFormat says that a file is of a format, or holds a kind of state, that this
// program does not know, so that it cannot be told whether it is whole.
var ErrUnknownFormat = errors.New("format that this program does not know")

// The file _metadata of a checkpoint or savepoint, as Flink's class Checkpoints and its
// MetadataV3Serializer to MetadataV6Serializer write it: Flink 1.18 and 1.20 write
// version 4, Flink 2.3 version 6. All numbers are big-endian.
const (
	headerMagic = 0x4960672d
	masterMagic = 0xc96b1696
	oldest      = 3
	newest      = 6
	// withProperties is the first version that ends with a Java object.
	withProperties = 4
	// withNames is the first version whose operators have a name and a uid.
	withNames = 5
	// withMerged is the first version whose channel states have a kind.
	withMerged = 6
)

// CheckFile says whether a _metadata file is whole, by reading through all of it: nil,
// or an error that says what is wrong, or one that wraps ErrUnknownFormat.
//
// Flink puts the file in its place by a rename, where the file system has one, so that
// half a file comes from a machine that went down or from a copy that is under way.
func CheckFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("check %s: %w", path, err)
	}
	defer f.Close()
	if err := Check(f); err != nil {
		return fmt.Errorf("check %s: %w", path, err)
	}
	return nil
}

// Check is CheckFile for the content of a file.
func Check(content io.Reader) error {
	r := &reader{in: bufio.NewReaderSize(content, 64<<10)}
	r.metadata()
	if errors.Is(r.err, io.EOF) || errors.Is(r.err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("it ends too early, after %d bytes", r.at)
	}
	return r.err
}

// reader reads on until its first error, after which everything reads as zero.
type reader struct {
	in  *bufio.Reader
	at  int64
	err error

	version int32
	depth   int
}

// metadata is the whole file.
func (r *reader) metadata() {
	if r.number() != headerMagic {
		r.fail("it does not begin as a file of Flink's")
	}
	r.version = r.number()
	if r.err == nil && (r.version < oldest || r.version > newest) {
		r.err = fmt.Errorf("version %d: %w", r.version, ErrUnknownFormat)
	}
	if r.long() < 0 {
		r.fail("a checkpoint's number is negative")
	}
	r.times(r.masterState)
	r.times(r.operatorState)
	if r.version >= withProperties {
		r.javaStream()
	}
}

func (r *reader) masterState() {
	if uint32(r.number()) != masterMagic {
		r.fail("a state of the JobManager does not begin as one")
	}
	r.skip(int64(r.number()))
}

func (r *reader) operatorState() {
	if r.version >= withNames {
		r.text() // name
		r.text() // uid
	}
	r.skip(8 + 8 + 4 + 4) // id, parallelism, maximum
	r.stream()            // its coordinator's
	subtasks := r.number()
	if subtasks < 0 {
		return // it has finished
	}
	for range subtasks {
		// A negative index is that of one that has finished, and has no state.
		if index := r.number(); r.err != nil {
			return
		} else if index >= 0 {
			r.subtaskState()
		}
	}
}

func (r *reader) subtaskState() {
	for range 2 { // managed, raw
		if r.number() != 0 {
			r.listState()
		}
	}
	r.keyedState() // managed
	r.keyedState() // raw
	r.times(r.channelState)
	r.times(r.channelState)
}

// listState is state that is not keyed.
func (r *reader) listState() {
	kind := r.byte()
	switch kind {
	case 0:
		return
	case 4, 17:
	default:
		r.unknown("operator state", kind)
		return
	}
	r.times(func() {
		r.text()
		r.byte() // how it is distributed
		r.longs(r.number())
	})
	if kind == 17 { // in a file with others
		r.text()
		r.text()
		r.byte()
	}
	r.stream()
}

// keyedState may hold others, with the changelog state backend.
func (r *reader) keyedState() {
	if !r.deeper() {
		return
	}
	defer func() { r.depth-- }()
	switch kind := r.byte(); kind {
	case 0:
	case 3, 7, 12: // key groups; of a savepoint; with an id
		r.number()
		r.longs(r.number())
		r.stream()
		if kind == 12 {
			r.text()
		}
	case 5, 11: // incremental; with size and id
		r.skip(8)
		r.text()
		r.skip(4 + 4)
		if kind == 11 {
			r.skip(8)
		}
		r.stream()
		for range 2 { // shared, private
			r.times(func() { r.text(); r.stream() })
		}
		if kind == 11 {
			r.text()
		}
	case 8, 14: // changelog; with the checkpoint's number
		r.skip(4 + 4 + 8)
		r.times(r.keyedState)
		r.times(r.keyedState)
		r.skip(8)
		if kind == 14 {
			r.skip(8)
		}
		r.text()
	case 9: // changes in place
		r.skip(4 + 4 + 8 + 8)
		r.times(func() { r.skip(4); r.skip(int64(r.number())) })
		r.text()
	case 10, 13: // changes in files; with the storage's name
		r.skip(4 + 4)
		r.times(func() { r.skip(8); r.stream() })
		r.skip(8 + 8)
		r.text()
		if kind == 13 {
			r.text()
		}
	default:
		r.unknown("keyed state", kind)
	}
}

// channelState is what was in flight, of an unaligned checkpoint.
func (r *reader) channelState() {
	if r.version >= withMerged {
		switch kind := r.byte(); kind {
		case 1, 2: // as in earlier versions
		case 3, 4: // merged
			r.skip(4 + 8)
			r.stream()
			r.skip(int64(r.number()))
			return
		default:
			r.unknown("channel state", kind)
			return
		}
	}
	r.skip(4 + 4 + 4)
	r.longs(r.number())
	r.skip(8)
	r.stream()
}

// stream is where state is kept: in place, or in a file.
func (r *reader) stream() {
	if !r.deeper() {
		return
	}
	defer func() { r.depth-- }()
	switch kind := r.byte(); kind {
	case 0, 16:
	case 1: // in place
		r.text()
		r.skip(int64(r.number()))
	case 2: // a file
		r.skip(8)
		r.text()
	case 3: // key groups
		r.number()
		r.longs(r.number())
		r.stream()
	case 6: // a file beside this one
		r.text()
		r.skip(8)
	case 15: // a part of a file
		r.skip(8 + 8 + 4)
		r.text()
		r.text()
	default:
		r.unknown("handle", kind)
	}
}

// maxDepth bounds how deep one thing may hold another.
const maxDepth = 32

func (r *reader) deeper() bool {
	r.depth++
	if r.depth > maxDepth {
		r.fail("its parts are nested too deep")
	}
	return r.err == nil
}

func (r *reader) fail(text string) {
	if r.err == nil {
		r.err = errors.New(text)
	}
}

func (r *reader) unknown(what string, kind byte) {
	if r.err == nil {
		r.err = fmt.Errorf("%s of kind %d: %w", what, kind, ErrUnknownFormat)
	}
}

// times reads a count, and so many of something.
func (r *reader) times(each func()) {
	n := r.number()
	if n < 0 {
		r.fail("a count is negative")
	}
	for range n {
		if r.err != nil {
			return
		}
		each()
	}
}

func (r *reader) bytes(n int) []byte {
	b := make([]byte, n)
	if r.err != nil {
		return b
	}
	got, err := io.ReadFull(r.in, b)
	r.at += int64(got)
	if err != nil {
		r.err = err
		clear(b)
	}
	return b
}

func (r *reader) byte() byte    { return r.bytes(1)[0] }
func (r *reader) short() uint16 { return binary.BigEndian.Uint16(r.bytes(2)) }
func (r *reader) number() int32 { return int32(binary.BigEndian.Uint32(r.bytes(4))) }
func (r *reader) long() int64   { return int64(binary.BigEndian.Uint64(r.bytes(8))) }
func (r *reader) text() string  { return string(r.bytes(int(r.short()))) }
func (r *reader) longs(n int32) { r.skip(8 * int64(n)) }

// skip passes over n bytes, which may be many.
func (r *reader) skip(n int64) {
	if n < 0 {
		r.fail("a length is negative")
	}
	if r.err != nil {
		return
	}
	got, err := io.CopyN(io.Discard, r.in, n)
	r.at += got
	r.err = err
}
