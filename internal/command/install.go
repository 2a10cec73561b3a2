package command

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"flink-ha-sidecar/internal/install"
)

func newInstall() *cobra.Command {
	return &cobra.Command{
		Use:   "install DIR",
		Short: "Copy this program to DIR/flink-ha, for other containers of the pod",
		Long: `Copy this program to DIR/flink-ha, for other containers of the pod: run it as an
init container that mounts an emptyDir. DIR is made; its parent must exist.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return usageError{errors.New("install needs one argument, the folder; as in 'flink-ha install /run/flink-ha/bin'")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			path, err := install.Install(args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "installed %s %s\n", path, Version())
			return nil
		},
	}
}
