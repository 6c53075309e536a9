package thor

// Stage is how far a feature has moved from REST to WebSocket. Stages are
// ordered: a later stage has a greater value. The zero value is [StageOff].
type Stage uint8

// The stages, in order.
const (
	StageOff      Stage = iota // read and stored; nothing is sent
	StageShadow                // sent, compared and logged; clients render REST
	StageCanary                // some clients render WebSocket
	StageLive                  // clients render WebSocket; REST is deprecated
	StageRampdown              // clients no longer poll REST
	StageComplete              // REST answers 410
)

var stageNames = []string{"off", "shadow", "canary", "live", "rampdown", "complete"}

// Stages lists every stage in order.
func Stages() []Stage {
	return []Stage{StageOff, StageShadow, StageCanary, StageLive, StageRampdown, StageComplete}
}

// ParseStage returns the stage of that name.
func ParseStage(name string) (Stage, error) {
	for _, s := range Stages() {
		if s.String() == name {
			return s, nil
		}
	}
	return 0, Errorf(EINVALID, "%q is not a stage", name).
		WithHint("The stages are off, shadow, canary, live, rampdown and complete.")
}

// String is the stage's name. What is no stage, as in a row of a store that
// somebody has changed, is "unknown".
func (s Stage) String() string {
	if int(s) >= len(stageNames) {
		return "unknown"
	}
	return stageNames[s]
}

// MarshalText writes the stage's name.
func (s Stage) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a stage's name.
func (s *Stage) UnmarshalText(text []byte) (err error) {
	*s, err = ParseStage(string(text))
	return err
}

// Publishes reports whether jobs publish in this stage. That is the meaning of
// "enabled" in a job; what a component renders is its [DataSource].
func (s Stage) Publishes() bool { return s > StageOff }

// DataSource is where a client gets what it renders.
type DataSource string

// The data sources.
const (
	DataSourceREST DataSource = "rest"
	DataSourceWS   DataSource = "ws"
)
