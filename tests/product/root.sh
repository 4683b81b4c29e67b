# root.sh - for scripts that fill a bare Debian in namespaces of their own; $folder is theirs, and keeps what apt fetches.

# Sources, keys, proxies and names of this machine, and none of its hooks.
copy_sources() {
	local root=$1 f
	rm -f "$root/etc/apt/sources.list"
	for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources /etc/apt/auth.conf \
		/etc/apt/auth.conf.d/* /etc/apt/trusted.gpg.d/* /etc/apt/keyrings/* /usr/share/keyrings/* /etc/resolv.conf /etc/hosts; do
		[ ! -f "$f" ] || { mkdir -p "$root$(dirname "$f")" && cp -L "$f" "$root$f"; }
	done
	apt-config dump | grep -E '^Acquire::[^ ]+ "[^"]+"' > "$root/etc/apt/apt.conf.d/90host"
	mkdir -p "$root/etc/ssl" && cp -rL /etc/ssl/certs "$root/etc/ssl/" 2> /dev/null
}

mounts() {
	local root=$1 n
	mount -t proc proc "$root/proc"
	mount -t tmpfs -o mode=755 dev "$root/dev"
	mkdir "$root/dev/pts" "$root/dev/shm"
	for n in null zero full random urandom tty; do
		: > "$root/dev/$n"
		mount --bind /dev/$n "$root/dev/$n"
	done
	ln -s /proc/self/fd "$root/dev/fd"
	mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts" && ln -s pts/ptmx "$root/dev/ptmx"
	mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
	mkdir -p "$folder/debs" && mount --bind "$folder/debs" "$root/var/cache/apt/archives"
}
