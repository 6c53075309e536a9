package thor

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// StreamID names a stream: the name of its feature, and behind a colon the
// account or symbol where the feature has one stream for each. Streams of
// accounts are private.
type StreamID string

// CutoverStream carries the changes of stages. It is public.
const CutoverStream StreamID = "cutover"

// NewStreamID returns the id of a feature's stream for one owner; the owner is
// "" where the feature has one stream for all.
func NewStreamID(feature, owner string) StreamID {
	if owner == "" {
		return StreamID(feature)
	}
	return StreamID(feature + ":" + owner)
}

// Feature is the name of the feature the stream belongs to.
func (id StreamID) Feature() string {
	name, _, _ := strings.Cut(string(id), ":")
	return name
}

// Owner is the account or symbol of the stream, or "".
func (id StreamID) Owner() string {
	_, owner, _ := strings.Cut(string(id), ":")
	return owner
}

// Private reports whether the stream is for its owner alone. A stream of an
// unknown feature is private: what nobody declared public is not shown.
func (id StreamID) Private() bool {
	if id == CutoverStream {
		return false
	}
	f, err := FeatureNamed(id.Feature())
	return err != nil || f.Private()
}

// Validate reports whether id is well formed. It does not say whether the
// stream exists.
func (id StreamID) Validate() error {
	name, owner, scoped := strings.Cut(string(id), ":")
	if !ValidID(name) || scoped && !ValidID(owner) {
		return Errorf(EINVALID, "%.140q is not a stream id", string(id)).
			WithHint("A stream id is a feature, or a feature, a colon and an account or symbol: intraday:FUT.ES.")
	}
	return nil
}

// Version is the place of an event in its stream. Seq starts at 1 and rises by
// one. The epoch changes when the store is made anew, restored or copied: seqs
// of different epochs have nothing to do with each other.
type Version struct {
	Epoch string
	Seq   uint64
}

func (v Version) String() string { return v.Epoch + "-" + strconv.FormatUint(v.Seq, 10) }

// ETag is the entity tag REST answers carry for a stream at this version.
func (v Version) ETag(stream StreamID) string { return fmt.Sprintf(`"%s:%s"`, stream, v) }

// Event is a message that has been stored and numbered.
type Event struct {
	Stream  StreamID
	Version Version
	Type    string
	Key     string
	Final   bool
	Time    time.Time       // when it was committed, by the server's wall clock
	Data    json.RawMessage // exactly the bytes clients get
}

// AppendEnvelope appends the event as clients get it over WebSocket: type
// first, data second, the rest after. Extra is appended last within the
// envelope: "" or members that begin with a comma.
func (e Event) AppendEnvelope(dst []byte, extra string) []byte {
	dst = append(dst, `{"type":"`...)
	dst = append(dst, e.Type...)
	dst = append(dst, `","data":`...)
	dst = append(dst, e.Data...)
	dst = append(dst, `,"stream":"`...)
	dst = append(dst, e.Stream...)
	dst = append(dst, `","seq":`...)
	dst = strconv.AppendUint(dst, e.Version.Seq, 10)
	dst = append(dst, `,"epoch":"`...)
	dst = append(dst, e.Version.Epoch...)
	dst = append(dst, `","ts":`...)
	dst = strconv.AppendInt(dst, e.Time.UnixMilli(), 10)
	dst = append(dst, extra...)
	return append(dst, '}')
}

// Window picks keys of a stream; the zero value is all of them.
type Window struct {
	From  string // the smallest key
	Limit int    // at most so many, the greatest keys; 0 is all
}
