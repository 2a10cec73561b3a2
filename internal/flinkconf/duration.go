package flinkconf

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// durationUnits are the labels of Flink's TimeUtils, in lower case.
var durationUnits = map[string]time.Duration{}

func init() {
	for unit, labels := range map[time.Duration]string{
		24 * time.Hour:   "d day days",
		time.Hour:        "h hour hours",
		time.Minute:      "min m minute minutes",
		time.Second:      "s sec secs second seconds",
		time.Millisecond: "ms milli millis millisecond milliseconds",
		time.Microsecond: "µs micro micros microsecond microseconds",
		time.Nanosecond:  "ns nano nanos nanosecond nanoseconds",
	} {
		for label := range strings.FieldsSeq(labels) {
			durationUnits[label] = unit
		}
	}
	durationUnits[""] = time.Millisecond
}

// isoDuration is the part of ISO 8601 that java.time.Duration reads; negative
// durations make no sense in a configuration and are refused.
var isoDuration = regexp.MustCompile(`^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:[.,]\d{0,9})?)S)?)?$`)

// ParseDuration reads a duration as Flink does: "15 s", "15s", "1 min", a bare
// number of milliseconds, and "PT15S", which only Flink 2 knows.
func ParseDuration(text string) (time.Duration, error) {
	trimmed := strings.TrimSpace(text)
	digits := len(trimmed) - len(strings.TrimLeft(trimmed, "0123456789"))
	if digits == 0 {
		return parseISODuration(strings.ToUpper(trimmed))
	}
	count, err := strconv.ParseInt(trimmed[:digits], 10, 64)
	if err != nil {
		return 0, errors.New("the number is too large")
	}
	label := strings.ToLower(strings.TrimSpace(trimmed[digits:]))
	unit, ok := durationUnits[label]
	if !ok {
		return 0, fmt.Errorf("unknown unit %q, Flink knows d, h, min, s, ms, µs and ns", label)
	}
	if count > math.MaxInt64/int64(unit) {
		return 0, errors.New("the duration is too long")
	}
	return time.Duration(count) * unit, nil
}

func parseISODuration(text string) (time.Duration, error) {
	parts := isoDuration.FindStringSubmatch(text)
	if parts == nil || strings.HasSuffix(text, "P") || strings.HasSuffix(text, "T") {
		return 0, errors.New(`not a duration such as "15 s"`)
	}
	var total float64
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second} {
		if parts[i+1] == "" {
			continue
		}
		count, err := strconv.ParseFloat(strings.Replace(parts[i+1], ",", ".", 1), 64)
		if err != nil {
			return 0, errors.New("the number is too large")
		}
		total += count * float64(unit)
	}
	if total >= math.MaxInt64 {
		return 0, errors.New("the duration is too long")
	}
	return time.Duration(math.Round(total)), nil
}
