//! The shell: sockets, threads, signals and clocks; it decides nothing.
