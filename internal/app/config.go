package app

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"thor"
	"thor/internal/calendar"
	"thor/internal/cutover"
	"thor/internal/source/sim"
)

// Config is everything that can be set. Each field is a flag, a variable and a
// line of the file; the command's help, `thor config show` and
// docs/operations.md are made from the same tags.
type Config struct {
	Addr    string   `name:"addr" default:"${addr}" env:"THOR_ADDR" help:"Address to listen on. localhost is IPv4 and IPv6."`
	Data    string   `name:"data" default:"${data}" env:"THOR_DATA" help:"Data directory. Empty is a temporary one, which is the default on a virtual clock and with a script."`
	Source  string   `name:"source" default:"${source}" env:"THOR_SOURCE" help:"Where the data comes from: sim, upstream, replay, or none, where everything but the markets comes from outside."`
	Outside []string `name:"outside" default:"${outside}" env:"THOR_OUTSIDE" help:"Features that jobs outside publish, by POST /api/publish; the server's own jobs for them do not run. Where one speaks less often than usual, say how often: intraday=60s."`
	SimSettings
	Replay    string        `name:"replay" default:"${replay}" env:"THOR_REPLAY" help:"Recording to play, made by thor record; it is the source then."`
	Speed     float64       `name:"speed" default:"${speed}" env:"THOR_SPEED" help:"How fast a recording is played: 1 to 3600, 60 is a minute a second."`
	ReplayCut bool          `name:"replay-cut" default:"${replay_cut}" env:"THOR_REPLAY_CUT" help:"Play a recording that was cut, up to there."`
	Retain    time.Duration `name:"retain" default:"${retain}" env:"THOR_RETAIN" help:"How long finished bars are kept."`
	Calendars string        `name:"calendars" default:"${calendars}" env:"THOR_CALENDARS" help:"Folder of calendar files over the built-in ones, read again while the server runs. Empty is none."`

	UpstreamSettings

	AuthKey     string `name:"auth-key" default:"${auth_key}" env:"THOR_AUTH_KEY" help:"Key that signs tokens, at least 32 characters. Without one only this machine's own operator is served."`
	AuthKeyFile string `name:"auth-key-file" default:"${auth_key_file}" env:"THOR_AUTH_KEY_FILE" help:"File with that key, instead of auth-key."`

	AuthPublicKey     string `name:"auth-public-key" default:"${auth_public_key}" env:"THOR_AUTH_PUBLIC_KEY" help:"PEM file with the public key that checks tokens: Ed25519 for EdDSA, RSA for RS256; besides auth-key or alone."`
	AuthClaimSub      string `name:"auth-claim-sub" default:"${auth_claim_sub}" env:"THOR_AUTH_CLAIM_SUB" help:"The claim of a token that says who it is for: a string or a whole number. Empty is sub, or what the mapping of the backend says."`
	AuthClaimAccounts string `name:"auth-claim-accounts" default:"${auth_claim_accounts}" env:"THOR_AUTH_CLAIM_ACCOUNTS" help:"The claim that says which accounts it may see: a string or a list. Empty is accounts; with the tokens of a backend, that the backend is asked."`
	AuthClaimRoles    string `name:"auth-claim-roles" default:"${auth_claim_roles}" env:"THOR_AUTH_CLAIM_ROLES" help:"The claim that says which roles it has: a string or a list. Empty is roles; with the tokens of a backend, that they are viewers."`

	TLSCert      string   `name:"tls-cert" default:"${tls_cert}" env:"THOR_TLS_CERT" help:"PEM file with the certificate and those between it and its authority; makes the server speak https and wss."`
	TLSKey       string   `name:"tls-key" default:"${tls_key}" env:"THOR_TLS_KEY" help:"PEM file with the certificate's private key. Both files are read again when they change."`
	TrustedProxy []string `name:"trusted-proxy" default:"${trusted_proxy}" env:"THOR_TRUSTED_PROXY" help:"Addresses or networks of reverse proxies, whose X-Forwarded-For says whom they speak for."`

	MaxConnections           int     `name:"max-connections" default:"${max_connections}" env:"THOR_MAX_CONNECTIONS" help:"WebSocket connections of all; further ones are closed with 1013. The local operator has no limit."`
	MaxConnectionsPerUser    int     `name:"max-connections-per-user" default:"${max_connections_per_user}" env:"THOR_MAX_CONNECTIONS_PER_USER" help:"WebSocket connections of one user; the oldest is closed with 4409."`
	MaxConnectionsPerAddress int     `name:"max-connections-per-address" default:"${max_connections_per_address}" env:"THOR_MAX_CONNECTIONS_PER_ADDRESS" help:"WebSocket connections of one address, or of an IPv6 /64; further ones are closed with 4429."`
	ConnectRate              float64 `name:"connect-rate" default:"${connect_rate}" env:"THOR_CONNECT_RATE" help:"WebSocket connections an address may open each second; ten seconds' worth at once."`
	RequestRate              float64 `name:"request-rate" default:"${request_rate}" env:"THOR_REQUEST_RATE" help:"REST requests a user may send each second; ten seconds' worth at once."`

	AllowOrigin []string `name:"allow-origin" default:"${allow_origin}" env:"THOR_ALLOW_ORIGIN" help:"Web origins that may connect, besides the server's own and this machine's."`
	Page        string   `name:"page" default:"${page}" env:"THOR_PAGE" help:"Path of the page, with a slash at both ends. /thor/ leaves / to the page of a backend behind the server."`
	UIDir       string   `name:"ui-dir" default:"${ui_dir}" env:"THOR_UI_DIR" help:"Serve the page from this directory instead of the built-in one."`
	LogSettings

	// Overrides are the old switches, WS_FEATURE_… with what it is set to. They
	// are read from the environment alone.
	Overrides map[string]string `kong:"-"`
	// Force is THOR_FORCE, which is read from the environment alone.
	Force string `kong:"-"`
}

// SimSettings are those of the simulator.
type SimSettings struct {
	SimSeed     uint64   `name:"sim-seed" default:"${sim_seed}" env:"THOR_SIM_SEED" help:"Seed of the simulator. The same seed says the same at the same time."`
	SimAccounts int      `name:"sim-accounts" default:"${sim_accounts}" env:"THOR_SIM_ACCOUNTS" help:"How many paper accounts the simulator has."`
	SimStart    string   `name:"sim-start" default:"${sim_start}" env:"THOR_SIM_START" help:"Where the simulator's clock starts, for instance 2026-11-23T14:30:00Z. Empty is now."`
	SimSpeed    float64  `name:"sim-speed" default:"${sim_speed}" env:"THOR_SIM_SPEED" help:"How fast the simulator's clock runs: 60 is a minute a second."`
	SimSpecial  []string `name:"sim-special" default:"${sim_special}" env:"THOR_SIM_SPECIAL" help:"Paper accounts of a special kind, besides: margin, short, empty, zero, large, or all."`
	SimScript   string   `name:"sim-script" default:"${sim_script}" env:"THOR_SIM_SCRIPT" help:"Script of what goes wrong with the simulated data: a file, or rough, which comes with thor. Empty is nothing."`
}

// UpstreamSettings are those of a REST backend that is read.
type UpstreamSettings struct {
	Upstream         string `name:"upstream" default:"${upstream}" env:"THOR_UPSTREAM" help:"The REST backend to read, for instance http://localhost:8001; it is the source then."`
	Preset           string `name:"preset" default:"${preset}" env:"THOR_PRESET" help:"How to read it, of the mappings that come with thor: thor."`
	UpstreamConfig   string `name:"upstream-config" default:"${upstream_config}" env:"THOR_UPSTREAM_CONFIG" help:"File that says how to read it, instead of a preset."`
	UpstreamUser     string `name:"upstream-user" default:"${upstream_user}" env:"THOR_UPSTREAM_USER" help:"Who signs in there."`
	UpstreamPassword string `name:"upstream-password" default:"${upstream_password}" env:"THOR_UPSTREAM_PASSWORD" help:"The password; better in the environment than on the command line."`
	UpstreamToken    string `name:"upstream-token" default:"${upstream_token}" env:"THOR_UPSTREAM_TOKEN" help:"A token that is sent as it is, instead of signing in."`
}

// LogSettings say what is logged, and how.
type LogSettings struct {
	LogLevel  string `name:"log-level" default:"${log_level}" env:"THOR_LOG_LEVEL" help:"debug, info, warn or error."`
	LogFormat string `name:"log-format" default:"${log_format}" env:"THOR_LOG_FORMAT" help:"text or json."`
}

// Default returns the settings of a server that nobody configured.
func Default() Config {
	return Config{
		Addr:   "localhost:8000",
		Data:   "./thor-data",
		Source: "sim",
		Speed:  1,
		Retain: 30 * 24 * time.Hour,
		Page:   "/",

		SimSettings:      SimSettings{SimSeed: 1, SimAccounts: 2, SimSpeed: 1},
		UpstreamSettings: UpstreamSettings{Preset: "thor"},
		LogSettings:      LogSettings{LogLevel: "info", LogFormat: "text"},

		MaxConnections:           10_000,
		MaxConnectionsPerUser:    20,
		MaxConnectionsPerAddress: 200,
		ConnectRate:              20,
		RequestRate:              100,
	}
}

// Virtual reports whether the settings make the source's clock another than
// the wall clock.
func (c Config) Virtual() bool { return c.simVirtual() || c.Replay != "" }

func (c Config) simVirtual() bool { return c.SimStart != "" || c.SimSpeed != 1 }

// Bounds of the settings.
const (
	minSpeed  = 0.01
	maxSpeed  = 3600
	minRetain = time.Hour

	maxAccounts = 500 // whose books are valued within a tenth of a beat
)

// Validate returns every fault of the settings, each with what to do. The faults
// are [thor.Error]s that begin with their flag and have the setting as the path.
func (c Config) Validate() error {
	var errs []error
	fault := func(flag, format string, args ...any) {
		err := thor.Errorf(thor.EINVALID, "--%s: "+format, append([]any{flag}, args...)...)
		err.Path = flag
		errs = append(errs, err)
	}
	host, port, err := net.SplitHostPort(c.Addr)
	if err != nil {
		fault("addr", "%q is not an address; write host:port, for instance localhost:8000", c.Addr)
	} else if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		fault("addr", "%q is not a port", port)
	}
	if err == nil && !isLoopback(host) && !c.takesTokens() {
		fault("addr", "%s can be reached from other machines, so a key is needed; set --auth-key or THOR_AUTH_KEY, or listen on localhost", c.Addr)
	}
	errs = append(errs, c.validateAccess()...)
	if info, err := os.Stat(c.Data); err == nil && !info.IsDir() {
		fault("data", "%s is not a directory", c.Data)
	}
	if !validPage(c.Page) {
		fault("page", "%q cannot be the path of the page; write it like /thor/", c.Page)
	}
	if c.UIDir != "" {
		if _, err := os.Stat(filepath.Join(c.UIDir, "index.html")); err != nil {
			fault("ui-dir", "%s has no index.html", c.UIDir)
		}
	}
	switch {
	case !slices.Contains([]string{simName, upstreamName, replayName, noneName}, c.Source):
		fault("source", "%q is not a source; there are sim, upstream, replay and none", c.Source)
	case c.Source == replayName || c.Replay != "":
		c.faultsOfReplay(fault)
	case c.Source == upstreamName && c.Upstream == "":
		fault("upstream", "say where the backend is, for instance --upstream http://localhost:8001")
	case c.Source != upstreamName && c.Upstream != "":
		fault("source", "it is %s, and --upstream names a backend to read; take one of them away", c.Source)
	case c.Source == noneName && c.simVirtual():
		fault("source", "what comes from outside has the real time, so --sim-start and --sim-speed do not go with none")
	}
	c.faultsOfUpstream(fault)
	if c.Speed != 1 && c.Replay == "" {
		fault("speed", "--speed belongs to --replay; the simulator has --sim-speed")
	} else if !(c.Speed >= 1 && c.Speed <= maxSpeed) { // nor is it NaN
		fault("speed", "%v is not a speed of a replay; it is at least 1 and at most %v", c.Speed, maxSpeed)
	}
	if _, err := c.rhythms(); err != nil {
		for _, err := range each(err) {
			fault("outside", "%w", err)
		}
	}
	if c.SimSeed == 0 {
		fault("sim-seed", "0 is not a seed; the first is 1")
	}
	if c.SimAccounts < 1 || c.SimAccounts > maxAccounts {
		fault("sim-accounts", "%d is not a number of accounts; it is at least 1 and at most %d", c.SimAccounts, maxAccounts)
	}
	if err := sim.CheckSpecial(c.SimSpecial); err != nil {
		fault("sim-special", "%w", err)
	}
	if c.SimScript != "" && c.Source != simName {
		fault("sim-script", "a script acts on the simulator alone, and the source is %s; take one of them away", c.Source)
	} else if _, err := c.script(); err != nil {
		fault("sim-script", "%w", err)
	}
	if start, err := c.simStart(); err != nil {
		fault("sim-start", "%q is not a time; write it like 2026-11-23T14:30:00Z", c.SimStart)
	} else if err := sim.Covers(start); err != nil && !start.IsZero() {
		fault("sim-start", "%v", err)
	}
	if !(c.SimSpeed >= minSpeed && c.SimSpeed <= maxSpeed) { // nor is it NaN
		fault("sim-speed", "%v is not a speed; it is at least %v and at most %v", c.SimSpeed, minSpeed, maxSpeed)
	}
	if c.Retain < minRetain {
		fault("retain", "%v is too short; at least %v", c.Retain, minRetain)
	}
	if c.Calendars != "" {
		if info, err := os.Stat(c.Calendars); err != nil || !info.IsDir() {
			fault("calendars", "%s is not a directory", c.Calendars)
		} else if _, err := calendar.OpenFolder(c.Calendars, time.Time{}); err != nil {
			errs = append(errs, err)
		}
	}
	for _, origin := range c.AllowOrigin {
		if u, err := url.Parse(origin); err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" {
			fault("allow-origin", "%q is not an origin; write it like https://desk.example.com", origin)
		}
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel) {
		fault("log-level", "%q is not a level; there are debug, info, warn and error", c.LogLevel)
	}
	if c.LogFormat != "text" && c.LogFormat != "json" {
		fault("log-format", "%q is not a format; there are text and json", c.LogFormat)
	}
	if _, err := c.overrides(); err != nil {
		errs = append(errs, err)
	}
	if err := cutover.CheckForce(c.Force); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// simStart is where the simulator's clock starts; the zero time is now.
func (c Config) simStart() (time.Time, error) {
	if c.SimStart == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339, c.SimStart)
}

// script is what goes wrong with the simulated data; nil is nothing.
func (c Config) script() (*sim.Script, error) {
	if c.SimScript == "" {
		return nil, nil
	}
	return sim.OpenScript(c.SimScript)
}

// overrides reads the old switches.
func (c Config) overrides() (map[string]bool, error) {
	var errs []error
	overrides := map[string]bool{}
	features := map[string]string{}
	for _, name := range thor.FeatureNames() {
		features[thor.FeatureVariable(name)] = name
	}
	for _, variable := range slices.Sorted(maps.Keys(c.Overrides)) {
		value, feature := c.Overrides[variable], features[variable]
		switch strings.ToLower(value) {
		case "true", "false":
			overrides[feature] = strings.EqualFold(value, "true")
		default:
			errs = append(errs, thor.Errorf(thor.EINVALID, "%s: %q is neither true nor false", variable, value))
		}
		if feature == "" { // a switch that does nothing must not look like one
			errs = append(errs, thor.Errorf(thor.EINVALID, "%s: there is no such switch", variable).
				WithHint("The switches are %s.", strings.Join(slices.Sorted(maps.Keys(features)), ", ")))
		}
	}
	return overrides, errors.Join(errs...)
}

// ReadOverrides reads the switches WS_FEATURE_… of an environment. One that is
// set to nothing counts as not set.
func ReadOverrides(environ []string) map[string]string {
	overrides := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, thor.FeatureVariable("")) && value != "" {
			overrides[name] = value
		}
	}
	return overrides
}

// isLoopback reports whether only this machine can reach a host.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// displayURL is the address people open.
func displayURL(scheme, addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return scheme + "://" + addr
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && (ip.IsUnspecified() || ip.Equal(net.IPv6loopback) || ip.Equal(net.IPv4(127, 0, 0, 1))) {
		host = "localhost"
	}
	return fmt.Sprintf("%s://%s", scheme, net.JoinHostPort(host, port))
}

func hostOf(addr string) string {
	host, _, _ := net.SplitHostPort(addr)
	return host
}
