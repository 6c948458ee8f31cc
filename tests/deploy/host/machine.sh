# Run by `unshare` in namespaces of its own: a machine whose /etc, /opt, /run and /var are its own, too,
# and gone with it. Runs the commands on stdin, one after the other, as docs/deploy.md has them.
set -eu
mount -t proc proc /proc
mount -t tmpfs tmpfs /mnt
for directory in etc var; do
    mkdir "/mnt/$directory" "/mnt/$directory.work"
    mount -t overlay overlay -o "lowerdir=/$directory,upperdir=/mnt/$directory,workdir=/mnt/$directory.work" "/$directory"
done
mount -t tmpfs tmpfs /opt
mount -t tmpfs tmpfs /run
while read -r command; do
    echo "# $command"
    eval "$command" </dev/null || { cat /run/*.log; exit 1; }
done
