package calendar

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
)

//go:embed data/*.json
var embedded embed.FS

// load reads the embedded files and then those of each overriding file system.
func load(overrides []fs.FS) (map[string]*exchange, error) {
	exchanges := make(map[string]*exchange)
	err := loadDir(exchanges, embedded, "data/*.json")
	for _, override := range overrides {
		err = errors.Join(err, loadDir(exchanges, override, "*.json"))
	}
	if err == nil {
		err = distinctMarkets(exchanges)
	}
	return exchanges, err
}

// loadDir reads the files that match a pattern. They replace exchanges of
// before, but not each other.
func loadDir(exchanges map[string]*exchange, files fs.FS, pattern string) error {
	names, err := fs.Glob(files, pattern)
	if err != nil {
		return fmt.Errorf("list calendar files: %w", err)
	}
	var errs []error
	loaded := make(map[string]*exchange)
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("read calendar file: %w", err))
			continue
		}
		ex, err := parse(name, data)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if other, ok := loaded[ex.mic]; ok {
			errs = append(errs, newFault(ex.at, "Keep one of the two files.", "the exchange %s is in %s already", ex.mic, other.at.file).err)
			continue
		}
		loaded[ex.mic] = ex
		exchanges[ex.mic] = ex
	}
	return errors.Join(errs...)
}

// distinctMarkets refuses a market that two exchanges have.
func distinctMarkets(exchanges map[string]*exchange) error {
	var errs []error
	owners := make(map[string]*market)
	for _, mic := range slices.Sorted(maps.Keys(exchanges)) {
		for _, m := range exchanges[mic].markets {
			if other, ok := owners[m.fixed.MarketID]; ok {
				errs = append(errs, newFault(m.at, "Give each market an id of its own.",
					"the market %q is on line %d of %s already", m.fixed.MarketID, other.at.line, other.at.file).err)
			}
			owners[m.fixed.MarketID] = m
		}
	}
	return errors.Join(errs...)
}
