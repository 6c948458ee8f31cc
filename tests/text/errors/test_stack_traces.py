from __future__ import annotations

import pytest

from otel_embedder.text.errors.stack_traces import (
    GAP,
    MAX_HEADERS,
    MAX_KNOWN_CHARACTERS,
    has_frames,
    headers,
)
from tests.support.cpu import cpu_seconds

JAVA = """com.acme.ShipError: parcel not sent
\tat com.acme.Ship.send(Ship.java:41)
\tSuppressed: java.lang.IllegalStateException: label printer left open
\t\tat com.acme.Printer.close(Printer.java:3)
\tCaused by: java.io.IOException: ink is out
\t\t... 3 more
Caused by: com.acme.StoreError: no shelf
 is free in Lyon
\tat com.acme.Store.take(Store.java:7)
\t... 2 more
Caused by: java.net.SocketTimeoutException: connect timed out
\t... 3 common frames omitted
"""
JAVA_ROOT_FIRST = """java.net.SocketTimeoutException: connect timed out
\tat com.acme.Store.take(Store.java:7)
Wrapped by: com.acme.ShipError: parcel not sent
\tat com.acme.Ship.send(Ship.java:41)
"""
DOTNET = """Acme.ShipException: parcel not sent
 ---> System.Net.Http.HttpRequestException: no answer (store:80)
 ---> System.Net.Sockets.SocketException (110): Connection timed out
   at Acme.Store.Take(String shelf) in /src/Store.cs:line 7
   --- End of inner exception stack trace ---
   at Acme.Ship.Send()
--- End of stack trace from previous location ---
   at Acme.Ship.<>c.<Send>b__0(Task t)
"""
DOTNET_ONE_LINE = (
    "Acme.ShipException: parcel not sent ---> Acme.StoreException: no shelf ---> "
    "System.TimeoutException: too late\r\n   bei Acme.Store.Take()\r\n"
    "   --- Ende der internen Ausnahmestapelüberwachung ---\r\n   bei Acme.Ship.Send()\r\n"
)
DOTNET_AGGREGATE = """System.AggregateException: One or more errors occurred. (late) (full)
 ---> System.TimeoutException: late
   at Acme.Store.Take()
   --- End of inner exception stack trace ---
 ---> (Inner Exception #1) Acme.StoreException: full
   at Acme.Store.Put()<---
"""
PYTHON = """Traceback (most recent call last):
  File "/srv/store.py", line 7, in take
    raise TimeoutError(at=("lyon"))
          ^^^^^^^^^^^^^^^^^^^^^^^^^
socket.timeout: timed out

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/srv/store.py", line 9, in take
acme.StoreError: no shelf
is free in Lyon

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/ship.py", line 41, in send
    take()
ShipError: parcel not sent
"""
PYTHON_GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "/srv/ship.py", line 41, in <module>
  |     raise ExceptionGroup("both failed", [a, b])
  | ExceptionGroup: both failed (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/srv/ship.py", line 3, in a
    | TimeoutError: too late
    +---------------- 2 ----------------
    | StoreError: no shelf
    +------------------------------------
"""
NODE = """ShipError: parcel not sent
    at send (/srv/ship.js:41:9)
    at async Promise.all (index 0) {
  parcel: 7,
  [cause]: StoreError: no shelf
      at take (/srv/store.js:7:3) {
    [cause]: Error: connect ETIMEDOUT 10.1.2.3:80
        at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1555:16) {
      errno: -110,
      code: 'ETIMEDOUT'
    }
  }
}
"""
NODE_AGGREGATE = """AggregateError [ETIMEDOUT]:
    at internalConnectMultiple (node:net:1118:18) {
  code: 'ETIMEDOUT',
  [errors]: [
    Error: connect ETIMEDOUT ::1:80
        at createConnectionError (node:net:1647:14) {
      errno: -110
    },
    Error: connect ETIMEDOUT 127.0.0.1:80
        at createConnectionError (node:net:1647:14)
  ]
}
"""
NODE_VERROR = """ShipError: parcel not sent
    at send (/srv/ship.js:41:9)
caused by: Error: no shelf
    at take (/srv/store.js:7:3)
"""
NODE_WITHOUT_STACK = """ShipError: parcel not sent
    at send (/srv/ship.js:41:9) {
  [cause]: [TypeError: no shelf]
}
"""
FIREFOX = "send@https://shop.example/ship.js:41:9\n@https://shop.example/ship.js:50:1\n"
GO_WRAPPED = """connect: timed out
main.dial
\t/srv/store.go:7
main.take
\t/srv/store.go:9
no shelf
main.send
\t/srv/ship.go:41
runtime.goexit
\t/usr/local/go/src/runtime/asm_amd64.s:1700
"""
GO_PANIC = """panic: index out of range [5] with length 3

goroutine 1 [running]:
main.main()
\t/srv/ship.go:41 +0x1d
"""
GO_STACK = "goroutine 7 [running]:\nmain.main()\n\t/srv/ship.go:41 +0x1d\n"
ANYHOW = """parcel not sent

Caused by:
    0: no shelf
       is free
    1: connection timed out (os error 110)

Stack backtrace:
   0: anyhow::error::new
             at ./src/error.rs:7
"""
ANYHOW_ONE = "parcel not sent\n\nCaused by:\n    connection timed out\n"
EYRE = "Error: \n   0: parcel not sent\n   1: no shelf\n\nLocation:\n   src/main.rs:41\n"
RUST_PANIC = (
    "thread 'main' panicked at src/main.rs:41:5:\nno shelf\nnote: run with `RUST_BACKTRACE=1`"
)
RUBY = """/srv/ship.rb:41:in `send': parcel not sent (ShipError)
\tfrom /srv/ship.rb:50:in `<main>'
/srv/store.rb:7:in 'Store#take': timed out (Net::OpenTimeout)
\tfrom /srv/ship.rb:40:in `send'
"""
PHP = """PHP Fatal error:  Uncaught Acme\\StoreError: no shelf in /srv/store.php:7
Stack trace:
#0 /srv/ship.php(41): take()
#1 {main}

Next Acme\\ShipError: parcel not sent in /srv/ship.php:42
Stack trace:
#0 {main}
  thrown in /srv/ship.php on line 42
"""
PHP_LIKE_JAVA = """Acme\\ShipError: parcel not sent
 at Acme.Ship.send(ship.php:41)
 ... 2 more
Caused by: Acme\\StoreError: no shelf
 at Acme.Store.take(store.php:7)
"""
ELIXIR = """** (Acme.ShipError) parcel not sent
    (acme 0.1.0) lib/ship.ex:41: Acme.Ship.send/1
"""
THREAD = (
    'Exception in thread "main" java.lang.Error: no shelf\n\tat com.acme.Ship.main(Ship.java:1)'
)


@pytest.mark.parametrize(
    ("trace", "said"),
    [
        (
            JAVA,
            [
                "com.acme.ShipError: parcel not sent",
                "com.acme.StoreError: no shelf\n is free in Lyon",
                "java.net.SocketTimeoutException: connect timed out",
            ],
        ),
        (
            JAVA_ROOT_FIRST,
            [
                "com.acme.ShipError: parcel not sent",
                "java.net.SocketTimeoutException: connect timed out",
            ],
        ),
        (
            DOTNET,
            [
                "Acme.ShipException: parcel not sent",
                "System.Net.Http.HttpRequestException: no answer (store:80)",
                "System.Net.Sockets.SocketException (110): Connection timed out",
            ],
        ),
        (
            DOTNET_ONE_LINE,
            [
                "Acme.ShipException: parcel not sent",
                "Acme.StoreException: no shelf",
                "System.TimeoutException: too late",
            ],
        ),
        (
            DOTNET_AGGREGATE,
            [
                "System.AggregateException: One or more errors occurred. (late) (full)",
                "System.TimeoutException: late",
                "Acme.StoreException: full",
            ],
        ),
        (
            PYTHON,
            [
                "ShipError: parcel not sent",
                "acme.StoreError: no shelf\nis free in Lyon",
                "socket.timeout: timed out",
            ],
        ),
        (
            PYTHON_GROUP,
            [
                "ExceptionGroup: both failed (2 sub-exceptions)",
                "TimeoutError: too late",
                "StoreError: no shelf",
            ],
        ),
        (
            NODE,
            [
                "ShipError: parcel not sent",
                "StoreError: no shelf",
                "Error: connect ETIMEDOUT 10.1.2.3:80",
            ],
        ),
        (
            NODE_AGGREGATE,
            [
                "AggregateError [ETIMEDOUT]:",
                "Error: connect ETIMEDOUT ::1:80",
                "Error: connect ETIMEDOUT 127.0.0.1:80",
            ],
        ),
        (NODE_VERROR, ["ShipError: parcel not sent", "Error: no shelf"]),
        (NODE_WITHOUT_STACK, ["ShipError: parcel not sent", "[TypeError: no shelf]"]),
        (FIREFOX, []),
        (GO_WRAPPED, ["no shelf", "connect: timed out"]),
        (GO_PANIC, ["index out of range [5] with length 3"]),
        (GO_STACK, []),
        (
            ANYHOW,
            ["parcel not sent", "no shelf\n       is free", "connection timed out (os error 110)"],
        ),
        (ANYHOW_ONE, ["parcel not sent", "connection timed out"]),
        (EYRE, ["parcel not sent", "no shelf"]),
        (RUST_PANIC, ["no shelf"]),
        ("thread 'io' panicked at 'no shelf', src/main.rs:41:5", ["no shelf"]),
        (RUBY, ["ShipError: parcel not sent", "Net::OpenTimeout: timed out"]),
        (PHP, ["Acme\\ShipError: parcel not sent", "Acme\\StoreError: no shelf"]),
        (PHP_LIKE_JAVA, ["Acme\\ShipError: parcel not sent", "Acme\\StoreError: no shelf"]),
        (ELIXIR, ["Acme.ShipError: parcel not sent"]),
        (THREAD, ["java.lang.Error: no shelf"]),
        ("no trace at all", ["no trace at all"]),
        ("", []),
        ("\n \n", []),
    ],
    ids=[
        *("java", "java-root-first", "dotnet", "dotnet-one-line", "dotnet-aggregate", "python"),
        *("python-group", "node", "node-aggregate", "verror", "node-without-stack", "firefox"),
        *("go-wrapped", "go-panic", "go-stack", "anyhow", "anyhow-one", "eyre", "rust-panic"),
        *("rust-panic-old", "ruby", "php", "php-like-java", "elixir", "thread", "words"),
        *("empty", "blank"),
    ],
)
def test_a_trace_says_what_its_exceptions_say_outermost_first(trace: str, said: list[str]) -> None:
    assert headers(trace) == said


def test_what_is_left_out_of_a_trace_is_no_header() -> None:
    first, _, last = PYTHON.partition("acme.StoreError")
    trace = f'{first}\n{GAP}\nhalf a line\n  File "/srv/ship.py", line 41, in send{last[-40:]}'

    assert headers(trace) == ["ShipError: parcel not sent", "socket.timeout: timed out"]


def test_a_line_is_what_it_is_however_long_and_however_often_it_was_seen() -> None:
    frame = f"\tat com.acme.{'Ship' * MAX_KNOWN_CHARACTERS}.send(Ship.java:41)"
    trace = JAVA.replace("\tat com.acme.Ship.send(Ship.java:41)", frame)

    assert headers(trace) == headers(JAVA) == headers(trace)


def test_of_many_causes_the_outermost_and_the_innermost_are_read() -> None:
    trace = "E0: zero\n" + "".join(f"Caused by: E{n}: {n}\n\tat a.b(C.java:1)\n" for n in range(99))

    said = headers(trace)

    assert len(said) == MAX_HEADERS
    assert (said[0], said[-1]) == ("E0: zero", "E98: 98")


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("no shelf", False),
        ("no shelf\n  at least one is taken", False),
        ("no shelf\n#5 is taken", False),
        ("no shelf\n\tat com.acme.Store.take(Store.java:7)", True),
        (f"could not send\n{PYTHON}", True),
    ],
)
def test_a_text_is_no_trace_without_frames(text: str, *, has: bool) -> None:
    assert has_frames(text) is has


@pytest.mark.parametrize(
    "line",
    [
        *("a" * 10, " ", "\t", "at ", "   a ", "a:", "a.", "a@", "a:1:", "#1 ", "(", "Caused by: "),
        *(" ---> ", "---", "'", "a:1:in `a': ", "** (a) ", "Next a", "| ", "+-", "panic: "),
        *("\n", "\n\t", "a\n\t", "a\n\ta.go:", "thread 'a' panicked at '", " (A"),
    ],
)
def test_time_grows_with_the_length(line: str) -> None:
    trace = line * 20_000

    # It takes a hundredth of that; were it quadratic, a hundred times as long.
    assert cpu_seconds(lambda: (headers(trace), has_frames(trace))) < 2
