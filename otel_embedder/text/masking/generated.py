"""Masks what is made up anew at each start: by the JVM, by brokers, by Kubernetes, by kernels."""

from __future__ import annotations

import re

from otel_embedder.text.marks import Marked, any_of, seen_in, words_marks
from otel_embedder.text.patterns import late

_JVM = Marked(
    late(
        r"""
    (?=[$.CGLcfjr])(?:           # as each begins: most of a text is passed over
    (\$\$Lambda)(?:\$\d++)?/\w++                              # Job$$Lambda$772/0x0000000801
    |(\$\$Lambda)\$\d++
    |((?:CGLIB|Guice)\$\$)[\da-f]++(?![a-z])                    # Service$$SpringCGLIB$$0
    |(\$(?:ByteBuddy|MockitoMock|Hibernate\w{1,32}|auxiliary)\$)\w++
    |(\$\$_(?:jvst|javassist_))\w++
    |(LambdaForm\$\w{1,16}/)\w++
    |(\.php:\d{1,6}\$)[\da-f]++                                # PHP's class@anonymous
    |(\$Proxy|jdk\.proxy|com\.sun\.proxy\.\$Proxy)\d++
    |((?:fn|reify|G)__)\d++
    |(Generated(?:SerializationC|C|M)\w{5,10}Accessor)\d++
    |(?<=[a-z\d_])(\$)\d{1,5}(?![\w<])                        # a class without a name
    )
    """,
        re.VERBOSE,
    ),
    rb"\$(?:0|[a-zA-Z0_]{1,16}/|(?<=0\$)[a-f]|\$Lambda|\$_|Proxy|ByteBuddy|Mockito|Hibernate|auxiliary)|CGLIB|Guice|proxy0|Accessor0"
    rb"|__0",
)
# Threads of pools, and nodes of AWS.
_THREADS = Marked(
    late(
        r"""
    (?=[DEFTV_cdipqs-])(?:    # as each begins: most of a text is passed over
    (\bpool-|-thread-|\b(?:Thread|scheduling)-|-exec-|EventLoopGroup-)\d++(?:-\d++)?(?![\w.])
    |(\bForkJoinPool)(?:\.commonPool)?(?:-\d++)?-worker-\d++(?!\w)
    |(\bThreadPoolExecutor-)\d++_\d++(?!\w)
    |((?:-(?:executor|dispatcher|epoll|nio|kqueue)|Dispatcher(?:-worker)?|EventLoop|_Worker)-)
        \d++(?:-\d++)?(?![\w.])
    |(\bVirtualThread\[\#)\d++
    |(\bqtp)\d++-\d++(?!\w)
    |(\bconsole-consumer-)\d++(?!\w)
    |(\bip-)\d{1,3}-\d{1,3}-\d{1,3}-\d{1,3}(?!\w)
    )
    """,
        re.VERBOSE,
    ),
    words_marks(
        (
            *("pool-0", "thread-0", "Thread-0", "scheduling-0", "exec-0", "Group-0", "worker-0"),
            *("ip-0", "Executor-0", "executor-0", "dispatcher-0", "Dispatcher-0", "epoll-0"),
            *("nio-0", "kqueue-0", "Loop-0", "Worker-0", "VirtualThread", "consumer-0", "qtp0"),
        )
    ),
)
# Java's objects, Erlang's processes.
_OBJECT = Marked(
    late(
        r"(?<=[\w\])]@)(?=[a-f]*+\d)[\da-f]{5,8}(?![\w.-])|(?:(?<![\w<])|(?<=#PID))<0\.\d++\.\d++>"
    ),
    rb"@[a-f]*0|<0\.0",
)
_QUEUES = Marked(
    late(
        r"""
    (?=[$.IQ_arst])(?:           # as each begins: most of a text is passed over
    (amq\.(?:gen|ctag)-|\bspring\.gen-|\.gen-|\banonymous\.(?=[\w-]{0,64}?[A-Z\d]))[\w-]{8,}+=*+
    |(reply[-_.]?[tT]o\.)(?=[\w+/=.-]{0,64}?[A-Z\d])[\w+/=-]{4,}+(?:\.[\w+/=-]++)*+
    |(_INBOX\w*+\.)[\w$-]++(?:\.[\w$-]++)*+
    |(\bID:)(?=[\w.:-]{0,64}?\d)[\w.:-]++(?<![.:])
    |(temp-(?:queue|topic)://)[^\s<]\S*+
    |(\$TMP\$\.|QTMP/)[\w./:-]++
    |(\$JS\.ACK\.[\w.-]{1,256}?\.)\d++(?:\.\d++)++
    )
    """,
        re.VERBOSE,
    ),
    words_marks(
        (".gen-", "ctag-", "anonymous.", "reply", "_INBOX", "ID:", "temp-", "TMP", "JS.ACK")
    ),
)
# A port of the moment, on the side of whoever dials. The other one tells what is down.
_PORTS = Marked(
    late(
        r"""
    (?=[:Lbcflps])(?:           # as each begins: most of a text is passed over
    (:)\d{1,5}(?=\s?(?:<->|->|→)\s?[\w/\[][^\s,;]{0,64}?[.:\]])
    |(\b(?:L:|[lL]ocal(?:\ ?\(|(?:(?:_?[aA]|\ a)ddr(?:ess)?)[=:\s]\s?|[=:]\s?)|l=)/?
        (?:ipv[46]:)?[\w.%-]{0,64}(?:\[[\da-fA-F:.%]{2,64}\])?:)\d{1,5}(?!\d)
    |(\b(?:src|source)(?:[=:\s]\s?)(?:[\d.]{7,15}|\[[\da-fA-F:.%]{2,64}\]):)\d{1,5}(?!\d)
    |(\bladdr=\(["'][\w.:%-]{1,64}["'],\s?)\d{1,5}
    |(\b(?:from|client:?|peer:?|by)[\s=]/?(?:ipv[46]:)?(?:[\d.]{7,15}|\[[\da-fA-F:.%]{2,64}\]):)
        (?:3276[89]|327[7-9]\d|32[89]\d\d|3[3-9]\d{3}|[4-6]\d{4})(?!\d)
    |(\b(?:local|client|source|src)[_.\ ]?[pP]ort[=:\s]\s?)\d{1,5}(?!\d)
    )
    """,
        re.VERBOSE,
    ),
    words_marks(
        (
            *(":0[0]{0,4} ?(?:<?->|\x7f)", "laddr=(", "port[=: ] ?0", "Port[=: ] ?0"),
            *(
                "from[ =].{0,160}:0",
                "client[ =:].{0,160}:0",
                "peer[ =:].{0,160}:0",
                "by[ =].{0,160}:0",
                "L:[^ ]{0,160}:0",
                *("src[=: ].{0,160}:0", "source[=: ].{0,160}:0"),
            ),
            *("local[^~].{0,160}:0", "Local[^~].{0,160}:0", "l=[^ ]{0,160}:0"),
        )
    ),
)
_GENERATED = any_of(_JVM, _OBJECT, _THREADS, _QUEUES, _PORTS)

# Kubernetes makes up names of these characters, so that they spell no words.
_SAFE = "bcdfghjklmnpqrstvwxz2456789"
_SAFE_MARKS = "bcdfghjklmnpqrstvwxz0"
# What has five of them and is a name.
_NAMES = (
    *("bcp47", "btrfs", "cntrl", "dhcpd", "grpcs", "hs256", "html2", "html5", "http2", "httpd"),
    *("https", "httpx", "jdtls", "mssql", "nfsv4", "nspkg", "pdfjs", "pgsql", "pkcs7", "pkcs8"),
    *("plsql", "ppc64", "prctl", "ps256", "r2dbc", "rdbms", "rs256", "rs485", "slf4j", "smbfs"),
    *("smtpd", "smtps", "snmpd", "sqldb", "sqlfs", "sshfs", "tmpfs", "tpcds", "wgs84", "wsrpc"),
    *("xhttp", "xhtml", "x8664"),
)
PODS = Marked(
    late(
        rf"(?<=-)(?:(?=[a-f]*\d)[\da-f]{{8}}-[{_SAFE}]{{4}}(?![\w-])"  # a node of GKE's
        rf"|(?<=[a-z\d]-)(?:[{_SAFE}]{{6,10}}|\d{{1,10}})-(?=\d*+[a-z])[{_SAFE}]{{5}}(?![A-Za-z\d-])"
        r"|\d{5}-[a-z]{3}(?![\w-])"  # a revision of Knative's
        rf"|(?<=[a-z\d]-)[{_SAFE}]{{8,10}}(?<=[a-z]..|.[a-z].|..[a-z])(?![\w-])"
        rf"|(?<=[a-z\d]-)(?!(?:{'|'.join(_NAMES)})(?!\w))(?=\d*+[a-z])[{_SAFE}]{{5}}(?![\w-]))"
    ),
    rf"-(?:[{_SAFE_MARKS}]{{4}}|0{{5}}-)".encode(),
)
# Behind a pod's or a ReplicaSet's name, if the key tells that it is one.
ORDINAL = re.compile(
    rf"(?<=[a-z\d]-)(?:\d{{1,4}}|(?=[a-z]*\d)(?=\d*[a-z])[{_SAFE}]{{5,10}})(?=$|\.)"
)


def mask_generated(text: str) -> str:
    """Put `<id>` or `<port>` for what was made up at a start or a connection."""
    seen = seen_in(text)
    if not _GENERATED.may_be_in(seen):
        return text
    text = _JVM.sub(_kept, text, seen)
    text = _OBJECT.sub("<id>", text, seen)
    text = _THREADS.sub(_kept, text, seen)
    text = _QUEUES.sub(_kept, text, seen)
    return _PORTS.sub(_port, text, seen)


def _kept(match: re.Match[str]) -> str:
    return f"{match[match.lastindex or 0]}<id>"


def _port(match: re.Match[str]) -> str:
    return f"{match[match.lastindex or 0]}<port>"
