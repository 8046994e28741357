#!/bin/sh
# Sends a file with OpenSSH's sftp: sh send-sftp.sh FILE
# Without a file it does what sftp-batch.txt says, in the present directory.
# DROPSLOT_KEY names the private key if it is not in this folder.
# Exit code 0: the server has the whole file. Anything else: it has not.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
key=${DROPSLOT_KEY:-"$here/{{slug}}_key"}

if [ ! -f "$key" ]; then
    echo "The private key $key is missing. README.txt says where it comes from." >&2
    exit 2
fi

send() {
    sftp -P {{port}} -i "$key" -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes \
        -o UserKnownHostsFile="\"$here/known_hosts\"" -o GlobalKnownHostsFile=/dev/null \
        -o ConnectTimeout=30 -o ServerAliveInterval=30 -b "$1" {{slug}}@{{shown}}
}

if [ $# -eq 0 ]; then
    send "$here/sftp-batch.txt"
    exit 0
fi
if [ ! -f "$1" ]; then
    echo "There is no file $1." >&2
    exit 2
fi
case $1 in
*'
'*)
    echo "A file name cannot contain a line break." >&2
    exit 2
    ;;
esac
# sftp takes a name in double quotes as it is, but for quotes and backslashes.
quoted=$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')
printf 'put "%s" "{{directory}}/"\n' "$quoted" | send -
