"""The client's end of the arena socket, against answers of all kinds."""

import contextlib
import gc
import itertools
import os

import pytest
from arena_peer import CREATE, DEADLINE, FREE, Peer, memory_file, reply

import lossd
from lossd.arena_socket import Connection

NBYTES = 8192
ID = bytes(range(16))


def good(kind, tag, nbytes, arena_id):
    if kind == FREE:
        return [(reply(FREE, tag), [])]
    return [(reply(CREATE, tag, nbytes=nbytes, arena_id=ID),
             [memory_file(nbytes)])]


@pytest.fixture
def serve(tmp_path):
    peers = []

    def start(answer):
        peers.append(Peer(tmp_path / f"socket{len(peers)}", answer))
        return peers[-1]

    yield start
    for peer in peers:
        peer.__exit__()


def arenas_open():
    """How many descriptors of arenas this process has."""
    count = 0
    for one in os.scandir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            count += os.readlink(one.path).startswith("/memfd:arena")
    return count


def test_an_arena_comes_and_goes(serve):
    peer = serve(good)
    connection = Connection(peer.address, DEADLINE)
    arena_id, memory = connection.create(NBYTES, DEADLINE)
    assert (arena_id, len(memory)) == (ID, NBYTES)
    memory[-3:] = b"end"
    connection.free(arena_id)
    connection.free(bytes(16))
    # Whose answers have been waiting then.
    assert connection.create(NBYTES, DEADLINE)[0] == ID
    peer.wait_for(lambda requests: len(requests) == 4)
    kinds = [(kind, nbytes, one) for kind, _, nbytes, one in peer.requests]
    assert kinds == [(CREATE, NBYTES, bytes(16)), (FREE, 0, ID),
                     (FREE, 0, bytes(16)), (CREATE, NBYTES, bytes(16))]
    tags = {tag for _, tag, _, _ in peer.requests}
    assert len(tags) == 4
    assert not connection.broken
    assert memory[-3:] == b"end"


def test_the_server_refuses(serve):
    def refuse(kind, tag, nbytes, arena_id):
        text = "kein Platz für Bytes".encode()
        return [(reply(kind, tag, code=8, text=text), [])]

    connection = Connection(serve(refuse).address, DEADLINE)
    for _ in range(2):
        with pytest.raises(lossd.ResourceExhausted, match="Platz für Bytes$"):
            connection.create(NBYTES, DEADLINE)
    assert not connection.broken


# Name: what the reply is made of, the file's size, how often it comes, seals,
# and what the error says.
BAD = {
    "magic": (dict(magic=b"LSDB"), NBYTES, 1, 6, "magic b'LSDB'"),
    "version": (dict(version=2), NBYTES, 1, 6, "version 2"),
    "kind": (dict(kind=3), NBYTES, 1, 6, "kind 3"),
    "text": (dict(length=209), NBYTES, 1, 6, "text of 209"),
    "no_descriptor": ({}, NBYTES, 0, 6, "0 descriptors"),
    "two_descriptors": ({}, NBYTES, 2, 6, "2 descriptors"),
    "many_descriptors": ({}, NBYTES, 9, 6, "2 descriptors or more"),
    "descriptor_of_a_refusal": (dict(code=8), NBYTES, 1, 6, "1 descriptors"),
    "descriptor_of_a_free": (dict(kind=FREE), NBYTES, 1, 6, "1 descriptors"),
    "granted_less": (dict(nbytes=NBYTES - 1), NBYTES, 1, 6, "8191 bytes"),
    "smaller_file": ({}, NBYTES - 4096, 1, 6, "a file of 4096"),
    "larger_file": ({}, NBYTES + 4096, 1, 6, "a file of 12288"),
    "unsealed": ({}, NBYTES, 1, 0, "not sealed"),
    "no_kind": (dict(kind=0, tag=0), NBYTES, 0, 6, "without a kind"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_reply(serve, name):
    fields, file_size, count, seals, text = BAD[name]

    def answer(kind, tag, nbytes, arena_id):
        fitting = dict(kind=kind, tag=tag, nbytes=nbytes, arena_id=ID)
        return [(reply(**{**fitting, **fields}),
                 [memory_file(file_size, seals) for _ in range(count)])]

    peer = serve(answer)
    connection = Connection(peer.address, DEADLINE)
    with pytest.raises(lossd.Internal, match=text):
        connection.create(NBYTES, DEADLINE)
    assert connection.broken
    peer.wait_for(len)
    assert arenas_open() == 0


@pytest.mark.parametrize("cut", [0, 1, 255, 257])
def test_packets_of_another_length(serve, cut):
    def answer(*request):
        packet, files = good(*request)[0]
        return [((packet + b"\0")[:cut], files)]

    peer = serve(answer)
    connection = Connection(peer.address, DEADLINE)
    # An empty packet is none.
    error, text = ((lossd.Internal, f"not a reply: {cut} bytes") if cut else
                   (lossd.Unavailable, "closed"))
    with pytest.raises(error, match=text):
        connection.create(NBYTES, DEADLINE)
    assert connection.broken
    peer.wait_for(len)
    assert arenas_open() == 0


def test_malformed_requests_are_told(serve):
    def answer(*_):
        return [(reply(kind=0, code=3, text=b"48 bytes, please"), [])]

    connection = Connection(serve(answer).address, DEADLINE)
    with pytest.raises(lossd.InvalidArgument, match="48 bytes, please"):
        connection.create(NBYTES, DEADLINE)
    assert connection.broken


def test_a_connection_that_ends(serve):
    peer = serve(lambda *_: None)
    connection = Connection(peer.address, DEADLINE)
    for _ in range(2):
        with pytest.raises(lossd.Unavailable, match="unix:.*socket0: "):
            connection.create(NBYTES, DEADLINE)
        assert connection.broken
    connection.free(ID)


def test_a_silent_server(serve):
    connection = Connection(serve(lambda *_: []).address, DEADLINE)
    with pytest.raises(lossd.DeadlineExceeded, match="unix:.*in time"):
        connection.create(NBYTES, 0.05)
    assert not connection.broken


def test_answers_that_come_too_late(serve):
    ids = map(bytes, itertools.permutations(range(16)))
    late = []

    def answer(kind, tag, nbytes, arena_id):
        if kind == FREE:
            return [(reply(FREE, tag), [])]
        late.append((reply(CREATE, tag, nbytes=nbytes, arena_id=next(ids)),
                     [memory_file(nbytes)]))
        # The first two times nothing, then all.
        return late if len(late) == 3 else []

    peer = serve(answer)
    connection = Connection(peer.address, DEADLINE)
    for _ in range(2):
        with pytest.raises(lossd.DeadlineExceeded):
            connection.create(NBYTES, 0.05)
    first, second, third = map(bytes, itertools.islice(
        itertools.permutations(range(16)), 3))
    arena_id, memory = connection.create(NBYTES, DEADLINE)
    assert (arena_id, len(memory)) == (third, NBYTES)
    peer.wait_for(lambda requests: {second, first} == {
        one for kind, _, _, one in requests if kind == FREE})
    assert arenas_open() == 1
    del memory
    assert arenas_open() == 0


def test_nobody_listens(tmp_path):
    for path in (tmp_path / "nothing", tmp_path / ("long" * 40)):
        with pytest.raises(lossd.Unavailable, match=f"unix:{path}"):
            Connection(f"unix:{path}", DEADLINE)
    with pytest.raises(ValueError, match="'tcp:1', allowed is unix:PATH"):
        Connection("tcp:1", DEADLINE)


def test_a_client_connects_again(serve):
    peer = serve(good)
    client = lossd.Client("127.0.0.1:1")
    first = client.create_arena(NBYTES, address=peer.address)
    second = client.create_arena(NBYTES, address=peer.address)
    assert peer.connections == 1
    client._arenas._connection.broken = True
    third = client.create_arena(NBYTES, address=peer.address)
    assert peer.connections == 2
    assert first.shared and second.shared and third.shared


def test_a_client_whose_server_has_restarted(serve):
    peer = serve(lambda *request: None if len(peer.requests) == 1
                 else good(*request))
    client = lossd.Client("127.0.0.1:1")
    first = client.create_arena(NBYTES, address=peer.address)
    peer.wait_for(len)
    second = client.create_arena(NBYTES, address=peer.address)
    assert peer.connections == 2
    assert first.shared and second.shared


def test_arenas_are_freed_with_their_last_array(serve):
    peer = serve(good)

    def freed(requests):
        return [kind for kind, _, _, _ in requests].count(FREE)

    client = lossd.Client("127.0.0.1:1")
    with client.create_arena(NBYTES, address=peer.address) as arena:
        array = arena.array(3, "int32")
        array[:] = 1, 2, 3
    client.close()
    del arena, client
    assert freed(peer.requests) == 0
    view = array[1:]
    del array
    assert view.tolist() == [2, 3]
    del view
    peer.wait_for(freed)
    # Then the connection has no user any more.
    assert peer.requests[-1][3] == ID
    gc.collect()
    peer._threads[1].join(DEADLINE)
    assert not peer._threads[1].is_alive()
