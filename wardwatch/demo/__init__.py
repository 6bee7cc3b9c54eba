"""Two simulated hospitals that send native bytes over real sockets."""
