# Read by the scripts that run tests. Who runs them, and by what leave:
#
#   privileged   whether they run as root: yes or no
#   as_root      what makes a command do so, where the caller is not root
#
# SUDO=1 builds as the caller and runs the tests as root. Root in CI, or asked
# for: a test that cannot run there is a failure.

privileged=no as_root=
if [ "$(id -u)" = 0 ]; then
    privileged=yes
elif [ "${SUDO:-}" = 1 ]; then
    privileged=yes as_root='sudo -E'
fi
if [ "$privileged" = yes ] && { [ -n "${CI:-}" ] || [ "${SUDO:-}" = 1 ]; }; then
    export XDPSAR_REQUIRE_PRIVILEGED=1
fi
