"""The hot path: how bytes get from a socket into a file, and back, when there are a great many of them.

asyncssh's own path is correct and clear, and pays for each SSH packet what a program pays that takes any packet for
anything: the input buffer is sliced anew for every packet, a cipher is built for every packet, an empty packet goes in
front of every packet, the data travels through four queues as four copies, and a task wakes up for each request. At
32 KiB a packet that is most of the work of a court's upload. This package does the same with less:

    entrance.py       the loop reads from a socket into one buffer that all connections of the process share
    connection.py     takes SSH packets out of it, each opened where it lies; channel data goes to the channel's `sink`
    seals.py          the ciphers, working in place, their key schedules kept
    handler.py        SFTP requests out of channel data: the payload of a WRITE is not put together but remembered as
                      pieces of that buffer, and written by one `pwritev` when the batch ends; a READ is answered by one
                      `preadv` into the places of a second shared buffer where its bytes will be sealed and sent from

What makes it safe to keep:

- Nothing of asyncssh is changed in place. There are subclasses of its connection, channel and handler, and they see two
  kinds of packets only: channel data and window adjustments, with an encrypt-then-MAC cipher, after login, outside of a
  key exchange. Every other packet, and every packet at every other time, goes to asyncssh's own code: key exchange,
  authentication, strict key exchange, channel requests, rekeying. So does every SFTP request except READ, WRITE, the
  CLOSE of a file, and an OPEN of the usual form (`opening.py`): whoever sends many small files sends mostly those.
- What the requests *do* is not here. `Files` is the same for both paths, and so is the judgement of an upload.
- It leans on private names of one exact version. `selftest` looks at every start whether they are what they were, and
  lets every cipher open what asyncssh's own has sealed, and the reverse; if anything is not as it was, the door says so
  in its log and takes asyncssh's own path, which is slower and nothing else. Every test of the door runs on both.

Three rules that are easy to break:

1. A piece of the shared buffer is good until the end of the batch in which it came. Whatever lasts longer is copied.
2. Answers are collected during a batch and leave in one packet at its end; a client that sends ahead gets few packets
   back. Nothing may wait for an answer in the middle of a batch.
3. Who does not read what we send is not read from: input waits when output does. Otherwise a client that only asks
   would fill the memory.
"""
