"""The WebSocket class in a real uvicorn, over real sockets: handshakes, messages, backpressure, closes, pings."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from uvicorn.protocols.utils import ClientDisconnected
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from speechsite.tests.served import wait_for
from speechsite.tests.websocket_client import ACCEPT, HEADERS, TIMEOUT_S, WebSocketClient, closing, masked
from speechsite.tests.websocket_server import WebSocketServer, echo
from speechsite.websocket.frames import BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT
from speechsite.websocket.protocol import MAX_WAITING_BYTES, WebSocketProtocol

MAX_SIZE_BYTES = 300_000
PING_S = 0.2


@pytest.fixture(scope="module")
def server() -> Iterator[WebSocketServer]:
    with WebSocketServer(ws_max_size=MAX_SIZE_BYTES, headers=[("x-always", "1")]) as server:
        yield server


@pytest.fixture
def client(server: WebSocketServer) -> Iterator[WebSocketClient]:
    with WebSocketClient(server.port) as client:
        yield client


def url(server: WebSocketServer, path: str) -> str:
    return f"ws://127.0.0.1:{server.port}{path}"


class Recorder:
    """An application that accepts, and keeps what it is told until its end."""

    def __init__(self) -> None:
        self.messages: queue.Queue[Any] = queue.Queue()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            message = await receive()
            self.messages.put(message)
            if message["type"] == "websocket.disconnect":
                return

    def next(self) -> Any:
        return self.messages.get(timeout=TIMEOUT_S)


# Handshakes


def test_an_application_hears_who_asks_for_what(server: WebSocketServer, client: WebSocketClient) -> None:
    scopes: queue.Queue[Any] = queue.Queue()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        scopes.put((scope, await receive()))
        await send({"type": "websocket.accept"})

    path = server.add(application)
    client.request(path + "?a=%20b", *HEADERS, (b"X-Latin", b"\xfc"), (b"Sec-WebSocket-Protocol", b"one, two"))

    scope, message = scopes.get(timeout=TIMEOUT_S)
    assert message == {"type": "websocket.connect"}
    assert scope["type"] == "websocket"
    assert scope["path"] == path
    assert scope["raw_path"] == path.encode()
    assert scope["query_string"] == b"a=%20b"
    assert (b"x-latin", b"\xfc") in scope["headers"]
    assert scope["subprotocols"] == ["one", "two"]
    assert scope["scheme"] == "ws"
    assert scope["client"] == client.socket.getsockname()
    assert scope["server"] == client.socket.getpeername()
    assert set(scope["extensions"]) == {"websocket.http.response", "websocket.direct"}


def test_the_acceptance_carries_the_headers_of_server_and_application(
    server: WebSocketServer, client: WebSocketClient
) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "two", "headers": [(b"x-request-id", b"7")]})

    head = client.request(
        server.add(application),
        *HEADERS,
        (b"Sec-WebSocket-Protocol", b"one, two"),
        (b"Sec-WebSocket-Extensions", b"permessage-deflate"),
    )

    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 101 Switching Protocols"
    assert b"sec-websocket-accept: " + ACCEPT in lines
    assert b"sec-websocket-protocol: two" in lines
    assert b"x-request-id: 7" in lines
    assert b"x-always: 1" in lines
    assert not [line for line in lines if line.lower().startswith(b"sec-websocket-extensions")]


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ((b"Sec-WebSocket-Version", b"8"), b"426"),
        ((b"Sec-WebSocket-Key", b"short"), b"400"),
    ],
)
def test_a_bad_handshake_is_refused_and_the_connection_closed(
    server: WebSocketServer, client: WebSocketClient, header: tuple[bytes, bytes], status: bytes
) -> None:
    headers = [header if header[0] == name else (name, value) for name, value in HEADERS]

    head = client.request(server.add(echo), *headers)

    assert head.startswith(b"HTTP/1.1 " + status)
    assert b"connection: close" in head
    assert client.read_end()


def test_a_post_opens_no_websocket(server: WebSocketServer, client: WebSocketClient) -> None:
    assert client.request(server.add(echo), *HEADERS, method=b"POST").startswith(b"HTTP/1.1 400 ")


def test_a_close_before_the_acceptance_is_403(server: WebSocketServer) -> None:
    heard: queue.Queue[Any] = queue.Queue()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 4404})
        heard.put(await receive())

    with pytest.raises(InvalidStatus) as caught:
        connect(url(server, server.add(application)))

    assert caught.value.response.status_code == 403
    assert heard.get(timeout=TIMEOUT_S)["code"] == 1006


@pytest.mark.parametrize("pieces", [[b"Not here."], [b"Not ", b"here.", b""]])
def test_an_application_may_refuse_with_a_response_of_its_own(server: WebSocketServer, pieces: list[bytes]) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(
            {"type": "websocket.http.response.start", "status": 404, "headers": [(b"content-type", b"text/x-test")]}
        )
        for number, piece in enumerate(pieces, 1):
            await send(
                {"type": "websocket.http.response.body", "body": piece, "more_body": number < len(pieces)},
            )

    with pytest.raises(InvalidStatus) as caught:
        connect(url(server, server.add(application)))

    assert caught.value.response.status_code == 404
    assert caught.value.response.headers["content-type"] == "text/x-test"
    assert caught.value.response.body == b"Not here."


@pytest.mark.parametrize("raises", [True, False])
def test_an_application_that_does_not_answer_is_500(
    server: WebSocketServer, caplog: pytest.LogCaptureFixture, raises: bool
) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if raises:
            raise ValueError

    with pytest.raises(InvalidStatus) as caught:
        connect(url(server, server.add(application)))

    assert caught.value.response.status_code == 500
    assert ("Exception in ASGI" if raises else "without completing handshake") in caplog.text


@pytest.mark.parametrize(
    "message",
    [
        {"type": "websocket.send", "text": "too early"},
        {"type": "websocket.http.response.body", "body": b""},
        {"type": "x"},
    ],
)
def test_what_does_not_belong_before_the_acceptance_is_an_error(
    server: WebSocketServer, client: WebSocketClient, message: Any
) -> None:
    error: Future[str] = Future()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        try:
            await send(message)
        except RuntimeError as caught:
            error.set_result(str(caught))
        await send({"type": "websocket.close"})

    client.request(server.add(application), *HEADERS)

    assert message["type"] in error.result(TIMEOUT_S)


def test_who_leaves_during_the_handshake_is_not_accepted(server: WebSocketServer, client: WebSocketClient) -> None:
    left = threading.Event()
    heard: Future[tuple[Any, type]] = Future()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        left.set()
        message = await receive()
        try:
            await send({"type": "websocket.accept"})
        except OSError as error:
            heard.set_result((message, type(error)))

    path = server.add(application)
    client.ask(path, *HEADERS)
    assert left.wait(TIMEOUT_S)
    client.socket.close()

    message, error = heard.result(TIMEOUT_S)
    assert message["type"] == "websocket.disconnect"
    assert message["code"] == 1006
    assert error is ClientDisconnected


def test_what_is_sent_before_the_acceptance_is_heard_after_it(server: WebSocketServer, client: WebSocketClient) -> None:
    may_accept = threading.Event()
    asked = threading.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        asked.set()
        await asyncio.to_thread(may_accept.wait, TIMEOUT_S)
        await echo(scope, receive, send)

    path = server.add(application)
    client.ask(path, *HEADERS)
    assert asked.wait(TIMEOUT_S)
    client.send(masked(BINARY, b"early" * 20_000))
    may_accept.set()

    assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
    assert client.read_frame() == (FIN | BINARY, b"early" * 20_000)


# Messages


def test_messages_go_both_ways_with_an_ordinary_client(server: WebSocketServer) -> None:
    with connect(url(server, server.add(echo))) as socket:
        messages: list[str | bytes] = ["text", "€" * 50_000, b"", b"bytes", b"x" * 70_000]
        for message in messages:
            socket.send(message)
            assert socket.recv(TIMEOUT_S) == message
        assert socket.ping().wait(TIMEOUT_S)


def frames(*found: tuple[int, bytes]) -> list[tuple[int, bytes]]:
    return [(FIN | opcode, payload) for opcode, payload in found]


def close_frame(code: int, reason: str = "") -> tuple[int, bytes]:
    return CLOSE, code.to_bytes(2) + reason.encode()


BYE = closing(1000, b"bye")
BYE_ANSWER = FIN | CLOSE, b"\x03\xe8bye"
# In the order of the Autobahn test suite, whose fuzzing client sends the like.
CONVERSATIONS: dict[str, tuple[bytes, list[tuple[int, bytes]]]] = {
    "1 texts of several sizes": (
        b"".join(masked(TEXT, b"*" * size) for size in (0, 125, 126, 127, 128, 65535, 65536)),
        [(TEXT, b"*" * size) for size in (0, 125, 126, 127, 128, 65535, 65536)],
    ),
    "2 pings and pongs": (
        masked(PING) + masked(PONG, b"unasked") + masked(PING, b"\x00\xff" + b"x" * 123) + masked(TEXT, b"a"),
        [(PONG, b""), (PONG, b"\x00\xff" + b"x" * 123), (TEXT, b"a")],
    ),
    "2 a ping too long": (masked(PING, b"x" * 126), [close_frame(1002, "control frame too long")]),
    "3 a reserved bit": (masked(0, b"a", first=0xC1), [close_frame(1002, "unknown frame")]),
    "4 an unknown opcode": (masked(0, b"a", first=0x83), [close_frame(1002, "unknown frame")]),
    "5 a fragmented ping": (masked(PING, b"a", first=PING), [close_frame(1002, "unknown frame")]),
    "5 fragments with pings between them": (
        masked(TEXT, b"a", first=TEXT) + masked(PING, b"1") + masked(CONTINUATION, b"b") + masked(PING, b"2"),
        [(PONG, b"1"), (PONG, b"2"), (TEXT, b"ab")],
    ),
    "5 nothing to continue": (masked(CONTINUATION, b"a"), [close_frame(1002, "nothing to continue")]),
    "5 a message in a message": (
        masked(TEXT, b"a", first=TEXT) + masked(TEXT, b"b"),
        [close_frame(1002, "another message is not finished")],
    ),
    "6 text cut in a character": (
        masked(TEXT, "κ".encode()[:1], first=TEXT) + masked(CONTINUATION, "κ".encode()[1:]),
        [(TEXT, "κ".encode())],
    ),
    "6 bad text": (masked(TEXT, b"\xce\xba\xed\xa0\x80"), [close_frame(1007, "text is not UTF-8")]),
    "7 nothing is read after a close": (BYE + masked(TEXT, b"more") + masked(PING), [close_frame(1000, "bye")]),
    "7 an empty close": (masked(CLOSE), [(CLOSE, b"")]),
    "7 half a code": (masked(CLOSE, b"\x03"), [close_frame(1002, "bad close code")]),
    "7 a code of no frame": (closing(1005), [close_frame(1002, "bad close code")]),
    "7 a bad reason": (closing(1000, b"\xff"), [close_frame(1007, "text is not UTF-8")]),
    "7 the application's codes": (closing(4999), [close_frame(4999)]),
    "9 too big": (masked(BINARY, b"x" * (MAX_SIZE_BYTES + 1)), [close_frame(1009, "message too big")]),
    "no mask": (b"\x81\x01a" + b"more", [close_frame(1002, "frame without a mask")]),
}


@pytest.mark.parametrize(
    ("name", "piece_bytes"),
    [
        (name, piece_bytes)
        for name, (said, _) in CONVERSATIONS.items()
        for piece_bytes in (1, 997, 1_000_000)
        if len(said) < 1000 or piece_bytes > 1
    ],
)
def test_a_conversation_goes_by_the_rules(
    server: WebSocketServer, client: WebSocketClient, name: str, piece_bytes: int
) -> None:
    said, answers = CONVERSATIONS[name]
    client.open(server.add(echo))

    sender = threading.Thread(target=send_in_pieces, args=(client, said, piece_bytes))
    sender.start()

    # Pongs may overtake messages: the application has to answer those.
    found = [client.read_frame() for _ in answers]
    assert sorted(found) == sorted(frames(*answers))
    if answers[-1][0] != CLOSE:
        client.send(BYE)
        assert client.read_frame() == BYE_ANSWER
    assert client.read_end() == b""
    sender.join(TIMEOUT_S)


def send_until_stuck(client: WebSocketClient, data: bytes, times: int) -> int:
    """Returns how many bytes the server took."""
    client.socket.settimeout(0.5)
    sent = 0
    while sent < times * len(data):
        try:
            sent += client.socket.send(data[sent % len(data) :])
        except TimeoutError:
            break
    client.socket.settimeout(TIMEOUT_S)
    return sent


def send_in_pieces(client: WebSocketClient, data: bytes, piece_bytes: int) -> None:
    try:
        for start in range(0, len(data), piece_bytes):
            client.send(data[start : start + piece_bytes])
    except OSError:
        pass  # the server has closed, as some of it deserves


# The application's end


def test_what_the_client_says_last_is_told(server: WebSocketServer, client: WebSocketClient) -> None:
    recorder = Recorder()
    client.open(server.add(recorder)).send(masked(TEXT, b"last") + closing(4001, b"why"))

    assert recorder.next() == {"type": "websocket.receive", "text": "last"}
    assert recorder.next() == {"type": "websocket.disconnect", "code": 4001, "reason": "why"}


@pytest.mark.parametrize(("said", "code"), [(masked(CLOSE), 1005), (b"", 1006), (masked(BINARY, b"cut")[:4], 1006)])
def test_a_disconnect_without_a_code_has_one_that_says_so(
    server: WebSocketServer, client: WebSocketClient, said: bytes, code: int
) -> None:
    recorder = Recorder()
    client.open(server.add(recorder)).send(said)
    client.end()

    assert recorder.next() == {"type": "websocket.disconnect", "code": code, "reason": ""}


def test_the_disconnect_is_told_again_to_whoever_asks_again(server: WebSocketServer, client: WebSocketClient) -> None:
    heard: Future[list[Any]] = Future()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        heard.set_result([await receive(), await receive()])

    client.open(server.add(application)).send(closing(1001))

    first, second = heard.result(TIMEOUT_S)
    assert first == second == {"type": "websocket.disconnect", "code": 1001, "reason": ""}


def test_sending_to_who_has_gone_is_a_client_disconnected(
    server: WebSocketServer, client: WebSocketClient, caplog: pytest.LogCaptureFixture
) -> None:
    error: Future[OSError] = Future()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        for kind in ("websocket.send", "websocket.close"):
            try:
                await send({"type": kind, "text": "anybody there?"})
            except OSError as caught:
                if kind == "websocket.close":
                    error.set_result(caught)
                    raise

    client.open(server.add(application)).send(closing(1000))

    assert isinstance(error.result(TIMEOUT_S), ClientDisconnected)
    client.read_close()
    client.read_end()
    assert "Exception in ASGI" not in caplog.text


def test_an_application_that_closes_is_told_so_and_may_send_no_more(
    server: WebSocketServer, client: WebSocketClient
) -> None:
    heard: Future[tuple[Any, str]] = Future()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4000, "reason": "enough"})
        try:
            await send({"type": "websocket.send", "text": "more"})
        except RuntimeError as error:
            heard.set_result((await receive(), str(error)))

    client.open(server.add(application))

    message, error = heard.result(TIMEOUT_S)
    assert message == {"type": "websocket.disconnect", "code": 4000, "reason": "enough"}
    assert "after sending 'websocket.close'" in error
    assert client.read_close() == (4000, "enough")
    # What crosses our close on the way is dropped; the connection ends with the client's answer.
    client.send(masked(TEXT, b"crossing") + closing(4000))
    assert client.read_end() == b""


def test_a_bad_close_code_is_the_applications_error(
    server: WebSocketServer, client: WebSocketClient, caplog: pytest.LogCaptureFixture
) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1006})

    client.open(server.add(application))

    assert client.read_close() == (1011, "")
    assert client.read_end() == b""
    assert "1006 cannot be sent" in caplog.text


@pytest.mark.parametrize("raises", [True, False])
def test_an_application_that_ends_without_closing_is_1011(
    server: WebSocketServer, client: WebSocketClient, caplog: pytest.LogCaptureFixture, raises: bool
) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        if raises:
            raise ValueError

    client.open(server.add(application))

    assert client.read_close() == (1011, "")
    assert client.read_end() == b""
    assert ("Exception in ASGI" in caplog.text) is raises


class Impatient(WebSocketProtocol):
    __slots__ = ()
    close_timeout_s = 0.2


def test_who_never_answers_a_close_is_left() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})

    with WebSocketServer(ws=Impatient) as server, WebSocketClient(server.port) as client:
        client.open(server.add(application))

        assert client.read_close() == (1000, "")
        assert client.read_end() == b""


# Backpressure


def test_a_client_that_sends_faster_than_it_is_heard_has_to_wait(
    server: WebSocketServer, client: WebSocketClient
) -> None:
    may_go_on = threading.Event()
    taken: Future[int] = Future()
    asked = threading.Event()
    message = b"x" * 10_000
    count = 5_000

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        asked.set()
        await asyncio.to_thread(may_go_on.wait, TIMEOUT_S)
        sizes = []
        while (heard := await receive())["type"] == "websocket.receive":
            sizes.append(len(heard["bytes"]))
        taken.set_result(sum(sizes))

    client.open(server.add(application))
    assert asked.wait(TIMEOUT_S)
    data = masked(BINARY, message)
    # Only the sockets' buffers and what the server lets wait is taken: the rest of 50 MB is not.
    sent = send_until_stuck(client, data, count)
    [connection] = server.server.server_state.connections
    protocol: Any = connection
    assert protocol.reading_paused
    assert sent < count * len(message) / 2
    may_go_on.set()
    client.send(data[sent % len(data) :] if sent % len(data) else b"")
    client.send(closing(1000))

    assert taken.result(TIMEOUT_S) == -(-sent // len(data)) * len(message)


def test_an_application_that_sends_faster_than_it_is_read_has_to_wait(server: WebSocketServer) -> None:
    sent: queue.Queue[int] = queue.Queue()
    stuck = threading.Event()
    ended: Future[type] = Future()
    data = b"x" * 60_000

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            while True:
                waiting = asyncio.ensure_future(send({"type": "websocket.send", "bytes": data}))
                done, _ = await asyncio.wait([waiting], timeout=0.5)
                if not done:
                    stuck.set()
                await waiting
                sent.put(1)
        except OSError as error:
            ended.set_result(type(error))

    with WebSocketClient(server.port, receive_buffer_bytes=4096) as client:
        client.open(server.add(application))
        assert stuck.wait(TIMEOUT_S)
        # Pings are answered with the latest only, once there is room.
        client.send(b"".join(masked(PING, str(number).encode()) for number in range(1000)))
        before = sent.qsize()
        pongs: list[bytes] = []
        while not pongs:
            first, payload = client.read_frame()
            if first == FIN | PONG:
                pongs.append(payload)
        assert pongs == [b"999"]
        assert sent.qsize() > before
    assert ended.result(TIMEOUT_S) is ClientDisconnected


def test_a_close_does_not_wait_for_who_takes_nothing() -> None:
    closed = threading.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        sending = asyncio.ensure_future(send_without_end(send))
        await asyncio.wait([sending], timeout=0.5)
        assert not sending.done()
        await send({"type": "websocket.close"})
        with pytest.raises(RuntimeError):
            await sending
        closed.set()

    with (
        WebSocketServer(ws=Impatient) as server,
        WebSocketClient(server.port, receive_buffer_bytes=4096) as client,
    ):
        client.open(server.add(application))

        assert closed.wait(TIMEOUT_S)
        # Left after Impatient.close_timeout_s; reading any earlier could let the close through.
        wait_for(lambda: not server.server.server_state.connections, "the connection is left")


async def send_without_end(send: Any) -> None:
    while True:
        await send({"type": "websocket.send", "bytes": b"x" * 60_000})


# Pings and the server's end


def test_who_answers_no_ping_is_left_with_1011() -> None:
    recorder = Recorder()
    with (
        WebSocketServer(ws_ping_interval=PING_S, ws_ping_timeout=PING_S) as server,
        WebSocketClient(server.port) as client,
    ):
        client.open(server.add(recorder))

        assert client.read_frame() == (FIN | PING, b"")
        assert client.read_close() == (1011, "keepalive ping timeout")
        assert client.read_end() == b""
        assert recorder.next()["code"] == 1011


def test_who_answers_pings_stays() -> None:
    with WebSocketServer(ws_ping_interval=PING_S, ws_ping_timeout=PING_S) as server:
        path = server.add(echo)
        with WebSocketClient(server.port) as client:
            client.open(path)
            for _ in range(4):
                assert client.read_frame() == (FIN | PING, b"")
                client.send(masked(PONG))
            client.send(closing(1000))
            assert client.read_close() == (1000, "")


def test_who_is_not_read_from_stays_though_no_pong_is_heard() -> None:
    may_go_on = threading.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await asyncio.to_thread(may_go_on.wait, TIMEOUT_S)
        while (await receive())["type"] == "websocket.receive":
            pass

    with (
        WebSocketServer(ws_ping_interval=PING_S, ws_ping_timeout=PING_S) as server,
        WebSocketClient(server.port) as client,
    ):
        client.open(server.add(application))
        client.send(masked(BINARY, b"x" * (MAX_WAITING_BYTES + 1)))
        for _ in range(3):
            assert client.read_frame() == (FIN | PING, b"")
        may_go_on.set()
        client.send(closing(1000))
        while (frame := client.read_frame()) == (FIN | PING, b""):
            pass
        assert frame == (FIN | CLOSE, b"\x03\xe8")


def test_a_server_that_ends_closes_with_1012() -> None:
    recorder = Recorder()
    with WebSocketServer() as server, WebSocketClient(server.port) as client:
        client.open(server.add(recorder)).send(masked(TEXT, b"here"))
        recorder.next()
        stopping = threading.Thread(target=server.stop)
        stopping.start()

        assert client.read_close() == (1012, "")
        client.send(closing(1012))
        assert client.read_end() == b""
        assert recorder.next() == {"type": "websocket.disconnect", "code": 1012, "reason": ""}
        stopping.join(TIMEOUT_S)
        assert not stopping.is_alive()


def test_a_server_does_not_wait_long_for_who_answers_nothing() -> None:
    """The socket stays open and says nothing; the server's thread is joined with a limit."""
    closed = threading.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})
        closed.set()

    with WebSocketServer() as server, WebSocketClient(server.port) as silent, WebSocketClient(server.port) as closing_:
        silent.open(server.add(echo))
        closing_.open(server.add(application))
        assert closed.wait(TIMEOUT_S)

        server.stop()

        assert silent.read_close() == (1012, "")
        assert closing_.read_close() == (1000, "")


def test_who_is_still_in_the_handshake_when_the_server_ends_gets_503() -> None:
    asked = threading.Event()
    heard: Future[Any] = Future()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        asked.set()
        heard.set_result(await receive())

    with WebSocketServer() as server:
        refused: Future[InvalidStatus] = Future()

        def open_socket() -> None:
            try:
                connect(url(server, path))
            except InvalidStatus as error:
                refused.set_result(error)

        path = server.add(application)
        opening = threading.Thread(target=open_socket)
        opening.start()
        assert asked.wait(TIMEOUT_S)
        server.stop()

        assert refused.result(TIMEOUT_S).response.status_code == 503
        assert heard.result(TIMEOUT_S)["code"] == 1006
        opening.join(TIMEOUT_S)


def test_ordinary_clients_close_in_order(server: WebSocketServer) -> None:
    recorder = Recorder()
    with connect(url(server, server.add(recorder))) as socket:
        socket.close(4002, "bye")
        with pytest.raises(ConnectionClosed):
            socket.recv(TIMEOUT_S)
        assert socket.close_code == 4002

    assert recorder.next() == {"type": "websocket.disconnect", "code": 4002, "reason": "bye"}
