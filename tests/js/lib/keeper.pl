# Keeps a listening socket over the lives of a server, as systemd does for a .socket unit: `perl keeper.pl COMMAND…`.
# HUP ends the server and starts the next one on the same socket; TERM ends both.
use strict;
use warnings;
use POSIX ();
use Socket;

$^F = 3; # an fd up to 3 outlives exec
socket(my $listener, PF_INET, SOCK_STREAM, 0) or die "socket: $!";
bind($listener, sockaddr_in(0, INADDR_LOOPBACK)) or die "bind: $!";
listen($listener, 4096) or die "listen: $!";

my $is_over = 0;
my $server = 0;
$SIG{HUP} = sub { kill 'TERM', $server };
$SIG{TERM} = sub { $is_over = 1; kill 'TERM', $server };
until ($is_over) {
    $server = fork() // die "fork: $!";
    if (!$server) {
        POSIX::dup2(fileno($listener), 3);
        @ENV{'LISTEN_FDS', 'LISTEN_PID'} = (1, $$);
        exec @ARGV or die "exec: $!";
    }
    while (waitpid($server, 0) < 0) { } # a signal came between
    $is_over = 1 if $?;
}
exit($? ? 1 : 0);
