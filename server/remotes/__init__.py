"""Servers where files are exchanged: our own endpoint, a remote SFTP server, or a bucket; how each is reached."""
