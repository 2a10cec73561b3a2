// Package gate runs a command, the JobManager, only while it is permitted to.
//
// A permit has two times, on this machine's CLOCK_BOOTTIME: after the first the
// command gets SIGTERM, after the second SIGKILL. Both are counted from before the
// permit was asked for, so whoever gave it may count from when it was asked.
//
// A gate is two processes. The outer one, the guard, is what the container runs; it
// starts the inner one, the keeper, which asks for permits and is the parent of the
// command. Each ends the command where the other cannot:
//
//   - The keeper ends: the kernel kills the command (PR_SET_PDEATHSIG), and the
//     guard, to whom all that the command has started falls, kills that too. The
//     first alone would not do: it is cleared when the command changes its user, as
//     the official image's entry point does as root, and it is for the command alone.
//   - The keeper is stopped: the guard knows the time of the last permit, by memory
//     that both share, and kills the command when that time is over.
//   - The guard ends: the keeper sees its end of a socket close, kills everything and
//     ends. Where it was stopped, the kernel continues it, as PR_SET_PDEATHSIG with
//     SIGCONT asks, and as it does with a process group that becomes orphaned. Where
//     the guard is PID 1 of its container, its end is that of all processes there.
//   - The guard is stopped: the keeper does all that matters by itself.
//
// What is left is both at once: guard and keeper stopped, or one stopped while the
// other is killed. A container that is frozen as a whole is the first case, and the
// command is frozen with it; it is killed as soon as the gate runs again, and until
// then it may run for as long as the kernel takes to get there. Within a container
// nobody can stop its PID 1.
//
// All that the command starts is covered, in whatever process group or session:
// both processes are subreapers, so that what loses its parent becomes theirs, and
// the command counts as ended only when the kernel says that the keeper has no child
// left.
package gate
