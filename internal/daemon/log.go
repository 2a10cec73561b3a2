package daemon

import (
	"fmt"
	"io"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
)

// NewLogger writes to w, unsampled: a transition that is missing from the log
// would be worse than a long one.
func NewLogger(level, format string, w io.Writer) (*zap.Logger, error) {
	var l zapcore.Level
	if err := l.UnmarshalText([]byte(level)); err != nil || l > zapcore.ErrorLevel {
		return nil, fmt.Errorf("%w: --log-level %q is none of debug, info, warn, error", ErrConfiguration, level)
	}
	c := zap.NewProductionEncoderConfig()
	c.TimeKey = "ts"
	c.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	c.EncodeDuration = zapcore.StringDurationEncoder
	var encoder zapcore.Encoder
	switch format {
	case "json":
		encoder = zapcore.NewJSONEncoder(c)
	case "console":
		encoder = zapcore.NewConsoleEncoder(c)
	default:
		return nil, fmt.Errorf("%w: --log-format %q is neither json nor console", ErrConfiguration, format)
	}
	// client-go logs to stderr by itself; what matters of it comes back as errors.
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), l)), nil
}
