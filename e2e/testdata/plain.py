"""A WebSocket client by hand: python3 plain.py HOST:PORT. Standard library only."""
import json, os, socket, struct, sys

host, port = sys.argv[1].rsplit(":", 1)
sock = socket.create_connection((host, int(port)), timeout=10)
sock.sendall(
    (
        f"GET /ws/ HTTP/1.1\r\nHost: {sys.argv[1]}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()
)
stream = sock.makefile("rb")
print(stream.readline().split()[1].decode())
while stream.readline().strip():
    pass


def send(opcode, payload):
    mask = os.urandom(4)
    body = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
    sock.sendall(bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + body)


def receive():
    first, length = stream.read(2)
    if length == 126:
        (length,) = struct.unpack(">H", stream.read(2))
    elif length == 127:
        (length,) = struct.unpack(">Q", stream.read(8))
    return first & 0x0F, stream.read(length)


send(1, b'{"type":"ping"}')
wanted = {"hello", "pong", "account_balance", "positions", "intraday_bar", "market_status"}
while wanted:
    opcode, payload = receive()
    kind = json.loads(payload)["type"] if opcode == 1 else ""
    if kind in wanted:
        wanted.remove(kind)
        print(kind)
send(8, struct.pack(">H", 1000))
while True:
    opcode, payload = receive()
    if opcode == 8:
        print("close", struct.unpack(">H", payload[:2])[0])
        break
