package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"thor"
	"thor/internal/auth"
	"thor/internal/stream"
)

// jitter is the window over which clients are told to spread their return.
const jitter = 5 * time.Second

// What the server says besides events. docs/protocol.md shows each.
type (
	helloData struct {
		Connection  string                       `json:"connection"`
		ServerTime  time.Time                    `json:"server_time"`
		HeartbeatMS int64                        `json:"heartbeat_ms"`
		Resume      bool                         `json:"resume"`
		Reconnect   reconnectData                `json:"reconnect"`
		Source      Source                       `json:"source"`
		Streams     map[thor.StreamID]streamInfo `json:"streams"`
		Features    map[string]FeatureState      `json:"features"`
	}
	reconnectData struct {
		MinMS    int64 `json:"min_ms"`
		MaxMS    int64 `json:"max_ms"`
		JitterMS int64 `json:"jitter_ms"`
	}
	cadenceData struct {
		Streams map[thor.StreamID]streamInfo `json:"streams"`
	}
	streamInfo struct {
		CadenceMS int64 `json:"cadence_ms"`
	}
	subscribedData struct {
		Streams map[thor.StreamID]subscribedStream `json:"streams"`
	}
	subscribedStream struct {
		Epoch     string `json:"epoch"`
		Seq       uint64 `json:"seq"`
		Recovered *bool  `json:"recovered,omitempty"` // of a resume
		Replayed  uint64 `json:"replayed,omitempty"`
		Conflated bool   `json:"conflated,omitempty"` // for max_hz
		MaxHz     int    `json:"max_hz,omitempty"`    // what it was rounded to
	}
	streamsData struct {
		Streams []thor.StreamID `json:"streams"`
	}
	authenticatedData struct {
		Subject string      `json:"sub"`
		Roles   []auth.Role `json:"roles"`
	}
	resetData struct {
		Stream thor.StreamID `json:"stream"`
		Epoch  string        `json:"epoch"`
		Reason string        `json:"reason"`
	}
	assignmentData struct {
		Feature    string          `json:"feature"`
		DataSource thor.DataSource `json:"data_source"`
		Rev        uint64          `json:"rev"`
	}
	errorData struct {
		Code      thor.Code `json:"code"`
		Message   string    `json:"message"`
		Retryable bool      `json:"retryable"`
		Path      string    `json:"path,omitempty"` // of the member that is wrong
	}
	ackedData struct {
		Feature string `json:"feature"`
		Rev     uint64 `json:"rev,omitempty"` // of a cutover_ack
	}
	shutdownData struct {
		ReconnectInMS int64 `json:"reconnect_in_ms"`
	}
)

// encode makes the frame of a message that is not an event. The id is the
// client's, echoed; nil is none.
func encode(kind string, id json.RawMessage, data any) []byte {
	payload, err := json.Marshal(struct {
		Type string          `json:"type"`
		ID   json.RawMessage `json:"id,omitempty"`
		Data any             `json:"data"`
	}{kind, id, data})
	if err != nil {
		panic(fmt.Sprintf("hub: encode %s: %v", kind, err)) // the types are ours
	}
	return stream.AppendFrame(nil, payload)
}

// errorFrame makes the frame of an error. What is not meant for people stays in
// the log.
func errorFrame(id json.RawMessage, err error) []byte {
	code := thor.ErrorCode(err)
	message := err.Error()
	if code == thor.EINTERNAL {
		message = "the server could not do it; its log says why"
	}
	data := errorData{Code: code, Message: message, Retryable: code == thor.EUNAVAILABLE || code == thor.ETOOMANY}
	if e, ok := errors.AsType[*thor.Error](err); ok {
		data.Path = e.Path
	}
	return encode("error", id, data)
}
