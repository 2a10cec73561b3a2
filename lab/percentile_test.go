package lab

import (
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	var hundred []time.Duration
	for n := range 100 {
		hundred = append(hundred, time.Duration(100-n))
	}
	for name, row := range map[string]struct {
		values []time.Duration
		p      int
		want   time.Duration
	}{
		"no values":                     {nil, 50, 0},
		"one value":                     {[]time.Duration{7}, 99, 7},
		"the median of five":            {[]time.Duration{5, 1, 4, 2, 3}, 50, 3},
		"of two the lower":              {[]time.Duration{2, 1}, 50, 1},
		"the worst of few":              {[]time.Duration{5, 1, 4, 2, 3}, 99, 5},
		"the last but one of a hundred": {hundred, 99, 99},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Percentile(row.values, row.p); got != row.want {
				t.Errorf("got %d, want %d", got, row.want)
			}
		})
	}
}
