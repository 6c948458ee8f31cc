"""Secrets known by their place in a command: to a server, to a database, to a shell.

`AUTH user x`, `IDENTIFIED BY x`, `mysql -px`: no key names them, and they look like any
word. What else follows such a word in plain prose, such as `AUTH failed`, is listed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from otel_embedder.text.hiding.operands import OPERAND, enclosed_end, end_of
from otel_embedder.text.marks import Marked, Marks, words_marks
from otel_embedder.text.patterns import late

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    Span = tuple[int, int]

# What follows a command's word where somebody speaks of it, or stands for a secret.
_PROSE = (
    *("a", "accepted", "account", "address", "after", "again", "already", "an", "and", "are"),
    *("arg", "args", "argument", "arguments", "as", "at", "attempt", "attempts", "auth", "be"),
    *("because", "been", "before", "but", "by", "call", "called", "came", "can", "can't"),
    *("cannot", "change", "changed", "check", "code", "command", "commands", "connection"),
    *("could", "couldn't", "current", "default", "denied", "did", "didn't", "disable"),
    *("disabled", "does", "doesn't", "enabled", "error", "errors", "exceeded", "expire"),
    *("expired", "expires", "extension", "fail", "failed", "failing", "fails", "failure"),
    *("failures", "field", "first", "flow", "for", "from", "had", "handler", "has", "have"),
    *("header", "history", "if", "in", "incorrect", "interval", "invalid", "is", "isn't"),
    *("lock", "layer", "limit", "mechanism", "mechanisms", "method", "middleware", "mismatch"),
    *("missing", "module", "must", "need", "needed", "never", "no", "none", "not", "now"),
    *("null", "of", "ok", "on", "only", "option", "optional", "or", "out", "phase", "plugin"),
    *("policy", "protocol", "provider", "reached", "refused", "rejected", "reply", "request"),
    *("requests", "require", "required", "requires", "reset", "response", "result", "reuse"),
    *("sent", "server", "service", "session", "set", "should", "skipped", "state", "status"),
    *("step", "succeeded", "success", "successful", "test", "tests", "than", "that", "the"),
    *("then", "this", "timed", "timeout", "to", "token", "tokens", "too", "type", "unknown"),
    *("unsupported", "until", "update", "user", "username", "using", "value", "verifier"),
    *("verify", "via", "was", "were", "when", "while", "will", "with", "without", "wrong"),
)
_MECHANISM = (
    r"(?:anonymous|cram-md5|digest-md5|external|gs2-\w{1,9}|gssapi|kerberos\w{0,3}|login|ntlm|oauth"
    r"|oauthbearer|plain|scram-sha-\d{1,3}(?:-plus)?|spnego|ssl|tls(?:-[cp])?|xoauth2?|xymcookie)"
)
_END = r"""(?=[\s.,:;!?()\[\]{}"'`<>\\]|\Z)"""
_ENDS_IT = rf"(?:{'|'.join(_PROSE)}|[?*.…]+|[$:@]?\d|%s|null){_END}"
# Neither prose, nor what stands for a secret.
_REAL = rf"""(?!{_ENDS_IT}|\\*["'`]{_ENDS_IT}|<[\w-]+>|[-=(|&;:.,>)\]}}/]|\\*["'`](?:\s|\Z))"""

# Between two words of a command, each of which may be quoted, in a list, or Redis's own
# (`$5\r\nhello`).
_GAP = (
    r"""(?:\\*+["'`])?+(?:[ \t]++|[ \t]*+,[ \t]*+|(?<=["'`])\s++"""
    r"""|(?:\r?\n|(?:\\r)?\\n)\$\d{1,9}(?:\r?\n|(?:\\r)?\\n))"""
)
_WORD = r"""(?:"[^"]{0,128}"|'[^']{0,128}'|`[^`]{0,128}`|[^\s"'`,;()]{1,128})"""
_BARE = (
    r"""(?:"[^"]{1,256}"|'[^']{1,256}'|(?:[^\s"'`,;)\]}]|["'`,;)\]}](?=[^\s"'`,;)\]}])){1,256})"""
)
# Behind the last word of a command.
_LAST = (
    r"""(?=\\*+["'`]?[)\]},;:.]?\s*+(?:\Z|[\r\n)\]}"'`;|(\[]|(?-i:SETNAME|KEYS|COPY|REPLACE)\b)"""
    r"""|\\*+["'`][\s,)\]}]|[,;:)\]}])"""
)
# A word that no language has.
_MIXED = r"""(?=["'`]?[^\s"'`]{0,64}?\d)(?=["'`]?[^\s"'`]{0,64}?[A-Za-z])(?=["'`]?[^\s"'`]{6})"""

# Each ends where a secret begins. It takes 0.1 s to compile.
BEGINNING = late(
    rf"""
    (?:(?<![\w.:/@-])|(?<=\\[nrt]))(?:
    # SMTP, IMAP, POP3, FTP, LDAP; Redis
    (?:auth(?:enticate)?|sasl){_GAP}{_MECHANISM}{_GAP}{_REAL}
    |auth["')],\s*+["']?(?:arg(?:ument)?s|params)["']?:\s*+(?=\[)
    |(?:addauth{_GAP}digest|etcdctl\s++user\s++add){_GAP}[^\s:"']{{1,64}}:
    |(?-i:AUTH2?){_GAP}{_REAL}(?!{_MECHANISM}{_END})(?!{_WORD}{_GAP}(?:[?*]++|<\w+>){_END})(?:{_WORD}{_GAP}{_REAL}(?!(?-i:SETNAME|KEYS|COPY|REPLACE)\b)
        (?={_BARE}{_LAST})|(?P<both>))
    |hello{_GAP}\d{_GAP}auth{_GAP}{_WORD}{_GAP}{_REAL}
    |auth{_GAP}{_REAL}(?:{_WORD}{_GAP}{_REAL})?{_MIXED}(?={_BARE}{_LAST})
    |auth{_GAP}["'`]?default{_GAP}{_REAL}{_MIXED}
    |(?-i:AUTH){_GAP}["'`]?default{_GAP}{_REAL}(?={_BARE}{_LAST})
    |(?:(?-i:PASS|ACCT)|nickserv\ identify|(?-i:IDENTIFY)){_GAP}{_REAL}
    |(?-i:pass){_GAP}(?!`){_REAL}{_MIXED}(?={_BARE}{_LAST})
    |apop{_GAP}{_WORD}{_GAP}{_REAL}
    |(?-i:LOGIN|OPER){_GAP}{_REAL}(?!(?:with|password|from)\b){_WORD}{_GAP}{_REAL}
        (?!(?:with|password|must)\b)
    |login{_GAP}{_REAL}{_WORD}{_GAP}{_REAL}{_MIXED}(?={_BARE}{_LAST})
    |(?:ldap_?)?(?:simple_?)?bind(?:_?s(?:imple)?)?(?:\ as|\ dn)?(?:[\s(:]|\\*["'`]){{1,3}}
        (?:[$\w]{{1,32}},\s?)?(?:\\*["'`])?[^\s"'`()=]{{1,64}}=[^"'`()\s]{{1,256}}
        (?:{_GAP}|\s(?:with|using)\s)(?:password[\s:=]{{1,3}})?{_REAL}
    |(?:requirepass|masterauth|primaryauth|masterpass|sentinel-pass|tls-(?:client-)?key-file-pass)
        {_GAP}{_REAL}
    |auth-pass{_GAP}{_REAL}(?:{_WORD}{_GAP}{_REAL}(?={_BARE}{_LAST}))?
    |set\s\S{{1,250}}\s\d{{1,10}}\s-?\d{{1,10}}\s\d{{1,7}}\s++[^\s:]{{1,64}}\ (?=\S{{1,250}}\s*+\Z)
    |(?:bindpw|bind_pw|bindpasswd|rootpw|rootbindpw|olcrootpw){_GAP}{_REAL}
    # SQL
    |(?:(?-i:IDENTIFIED)|identified(?=\s++by\s++["'])|identified(?=\s++(?:with|via)\s)
            |identified(?=\s++by\s++{_REAL}{_MIXED})|(?:user|to|link)\s++{_WORD}\s++identified)
        \s++(?:(?:with|via)\s++{_WORD}\s++)?(?:by|as|using)\s++
        (?:(?:password|values)\s++)?(?:(?:old_)?password\s*+\(\s*+)?(?!random\b){_REAL}
    |password\s++for\s++{_WORD}(?:@{_WORD})?\s*+(?:=|to)\s*+(?:(?:old_)?password\s*+\(\s*+)?
        (?!random\b){_REAL}
    |password\s++(?:from\s++)?(?=[en]?["']|\$\w{{0,16}}\$)
    |(?-i:PASSWORD)\s++{_REAL}
    |(?:user|role|login|account)\s++{_WORD}\s++(?:with\s++)?(?:set\s++)?(?:(?:un)?encrypted\s++)?
        password\s++{_REAL}
    |password\s++(?:(?:is|was)\s++)?{_REAL}{_MIXED}
    |(?-i:SECRET_ACCESS_KEY|ACCESS_KEY_ID|SESSION_TOKEN|CREDENTIALS|PASSPHRASE)\s++(?=')
    |(?:pgp_sym_(?:en|de)crypt(?:_bytea)?|(?:aes_|des_)?(?:en|de)crypt|hmac)\s*+
        \(\s*+[^,()]{{1,256}}(?:\([^()]{{0,64}}\))?[^,()]{{0,64}},\s*+(?=["'])
    |(?:crypt|digest|sha[12]?|sha224|sha256|sha384|sha512|md5|password|old_password|hashbytes)\s*+
        \(\s*+(?:'(?:sha|md)\w{{1,9}}'\s*,\s*)?(?=["'])
    |(?:\w{{1,16}}\.)?(?:auth|authenticate|login|sign_?in|changeUserPassword)\s*+\(\s*+{_WORD}\s*+,\s*+(?=["'])
    |sp_(?:addlogin|password)\s++{_WORD}\s*+,\s*+|sp_addlinkedsrvlogin\s++(?:{_WORD}\s*+,\s*+){{4}}
    # shells
    |(?:add_user|change_password|authenticate_user){_GAP}{_WORD}{_GAP}{_REAL}
    |htpasswd\s++(?:-\w{{1,8}}\s++)?-\w{{0,7}}b\w{{0,7}}\s++{_WORD}\s++{_WORD}\s++
    |net\s++use\s++\S++\s++(?:\S++\s++)?(?=\S++\s++/user:)
    |net\s++user\s++{_REAL}{_WORD}\s++(?![/*]){_REAL}
    |config(?:ure)?(?:\s++|:)set\s++[\w./:-]{{0,128}}(?:secret|token|password|key)[\w.-]{{0,32}}\s++
    |(?:vault\s++login|ngrok\s++(?:config\s++add-)?authtoken|ConvertTo-SecureString(?:\s++-String)?)
        {_GAP}{_REAL}(?!-)
    |wpa_passphrase{_GAP}{_WORD}{_GAP}{_REAL}
    |pragma\s++(?:hex)?(?:re)?key\s*+=\s*+
    |attach\s++(?:database\s++)?{_WORD}\s++as\s++{_WORD}\s++key\s++(?=["'])
    |--from-literal[=\s][\w.-]{{1,128}}=
    |echo\s++(?:-\w\s++)?(?=[^|\n]{{1,256}}\|\s*+(?:sudo\b|chpasswd|passwd|[^|\n]{{0,128}}-stdin))
    )
    # SASL, as it goes over the wire: who, NUL, who, NUL, password
    |\0[^\0\s]{{1,128}}\0
    """,
    re.VERBOSE | re.IGNORECASE,
)
# A word that each of these has, and what parts it from the next.
_BEFORE_WORDS = (
    *("auth", "sasl", "pass", "identif", "login", "apop", "acct", "add_user", "access_k"),
    *("bind", "rootpw", "oper[^a-z0_]", "crypt", "credent", "config", "digest", "md0", "sha0"),
    *("sha ", "sha(", "set ", "session_", "hmac", "echo ", "net [ ]*use", "sp_add", "signin"),
    *("sign_in", "from-literal", "hashbytes", "pragma ", "attach ", "securestring", "etcdctl"),
    "\0",
)
BEFORE = Marks(words_marks(_BEFORE_WORDS), in_small=True)
PARTED = Marks(rb" |,|\(|\\|\0|from-literal", in_small=True)
# A second secret behind the first.
_SECOND = re.compile(r"\s++(?:REPLACE\s++|TO\s++(?=[\"']))", re.IGNORECASE)
_ANOTHER = re.compile(
    rf"(?<![:;,.]){_GAP}{_REAL}(?!(?-i:SETNAME|KEYS|COPY|REPLACE)\b)", re.IGNORECASE
)
_DOLLARS = re.compile(r"\$(\w{0,16})\$.*?(?:\$\1\$|\Z)", re.DOTALL)

# Oracle's user/password@where.
_LOGON_WORDS = (
    *("thin:", "oci:", "oci0:", "conn ", "connect ", "sqlplus", "sqlldr", "sqlcl", "rman "),
    *("exp ", "expdp ", "imp ", "impdp ", "userid="),
)
_LOGON = Marked(
    late(
        r"""
    (?:(?<![\w.:/@-])(?:(?-i:CONN(?:ECT)?)(?:\s++TO)?|connect(?=\s++[^\s/]{1,128}/[^\s/@]{1,128}@)|sqlplus\w?|sqlldr|sqlcl|rman\s++target
        |(?:exp|imp)(?:dp|(?=\s++[^\s/]{1,128}/[^\s/@]{1,128}@)|(?=\s++userid=)))\s++(?:-\w\s++|-\w{2,9}\s++|userid=)*+
      |(?<=thin:)|(?<=oci:)|(?<=oci8:)|(?<![\w.-])userid=)
    \\*+["']?[\w$#.\[\]-]{1,128}/(?=\S)(?!/)
    """,
        re.VERBOSE | re.IGNORECASE,
    ),
    words_marks(_LOGON_WORDS),
    in_small=True,
)
_LOGON_SECRET = re.compile(r"""\\*+"[^"]*+"?|[^\s"'@]*+(?:@(?=[^\s"'@]*+@)[^\s"'@]*+)*+""")

# Options that take a secret, by who takes them; `-p` is a port or a path to most.
_ATTACHED = r"""-p(?=["']?[^\s"',])"""
_SEPARATE = rf"-p(?:{_GAP}|=)?(?=\S)"
_USER_AND = r"""(?=\\*["']?[^\s"':,%]{0,128}[:,%])"""
_OPTIONS = {
    r"mysql(?:_\w+|dump|admin|import|check|show|slap|pump|binlog)?|mariadb(?:-\w+)?|mycli|7z[ar]?|rar"
    r"|unrar": _ATTACHED,
    r"mongo(?:sh|dump|restore|export|import|stat|top|files)?|sshpass|cqlsh|rabbitmqadmin|cypher-shell"
    r"|couchbase-cli|cbq|influx|arangosh|twine|beeline|useradd|usermod|psexec|crackmapexec|nxc|ncftp\w*|lpass"
    r"|(?:docker|podman|nerdctl|buildah|skopeo|oras|az|oc|argocd|helm\s+registry|az\s+acr|crane\s+auth"
    r"|cf|ibmcloud|mc\s+alias)\s+login": _SEPARATE,
    r"(?:redis|valkey|keydb)-(?:cli|benchmark)": rf"-a{_GAP}",
    r"sqlcmd|bcp|isql|osql|tsql|freebcp|zip|unzip|ipmitool|mosquitto_\w+": rf"-P(?:{_GAP})?",
    r"ldap(?:search|modify|add|delete|whoami|passwd|compare|modrdn|exop|bind)": (
        rf"-[ws](?:{_GAP})?"
    ),
    r"curl|wget": rf"(?:-[a-zA-Z]{{0,8}}[uU]|--(?:proxy-)?user)(?:{_GAP}|=)?{_USER_AND}",
    r"snmp\w+": rf"-[cAX]{_GAP}",
    r"lftp|smbclient|rpcclient|https?|xh|ab": rf"-[uUaAX](?:{_GAP}|=)?{_USER_AND}",
    r"openssl": rf"(?:-[kK]{_GAP}|-pass(?:in|out)?(?:{_GAP})(?:pass:)?)",
    r"ssh-keygen": rf"-[NP]{_GAP}",
    r"plink|pscp|psftp|putty": rf"-pw{_GAP}",
    r"xfreerdp|mstsc|rdesktop": rf"/p:|-p{_GAP}",
    # A password behind `>`, or its hash; behind `<` or `!` one that is taken away.
    r"acl\W{1,4}setuser"
    r"|user\W{1,4}\w+\W{1,4}(?:on|off|reset|nopass)": r"\\*[\"']?[><#!](?=[^\s\"'=-])",
}
_NAMES = "|".join(f"(?P<program{i}>{names})" for i, names in enumerate(_OPTIONS))
_COMMAND = late(
    rf"""
    (?<![\w.-])(?:{_NAMES}|(?P<other>ssh|scp|sftp|rsync|mkdir|kubectl|docker|podman|psql|git|sort))
        (?:\.exe)?(?![\w.:=/-])
    |(?P<end>[;|\n]|&&)
    |(?<![^\s"',\[(])(?P<option>-[A-Za-z-]|/p:|\\*["']?[><\#!])
    """,
    re.VERBOSE | re.IGNORECASE,
)
_READERS = [late(options) for options in _OPTIONS.values()]
# An option behind something, which may be a program.
OPTIONS = Marks(
    rb"-[awspucxkn-](?<=[ \"',(\[]..)|-[a-z]{1,8}u[ \"'=]|/p:(?<=[ \"',(\[]...)"
    rb"|setuser|user[^a-z0_]{1,4}[a-z0_]+[^a-z0_]{1,4}(?:on|off|reset|nopass)",
    in_small=True,
)
# Of these a text has one that any of this is in, in small letters, or it has options.
WORDS = (*_BEFORE_WORDS, *_LOGON_WORDS)
_ONCE = "sshpass"

# INSERT INTO users (name, password) VALUES ('ann', 'x'), ('bob', 'y')
_INSERTED = re.compile(
    r"\bINSERT\s++INTO\s++\S{1,128}\s*+\((?P<columns>[^()]{1,2048})\)\s*+VALUES\s*+\(",
    re.IGNORECASE,
)
_QUOTED = r"'(?:[^'\\]|\\.|'')*+'?"
_COLUMN = re.compile(
    rf"\s*+(?P<value>(?:{_QUOTED}|\((?:[^()']|{_QUOTED})*+\)?|[^,()'])*+)(?P<end>,|\)\s*+,\s*+\()?"
)
_STANDS_FOR = re.compile(r"\?\d*|[$:@]\w+|%s|%\(\w+\)s|NULL|DEFAULT|<\w+>|", re.IGNORECASE)


def inserted(text: str, names: Callable[[str], bool]) -> Iterator[Span]:
    """Find the values of columns that name a secret, in SQL's INSERT."""
    if "nsert " not in text and "NSERT " not in text:
        return
    end = 0
    while match := _INSERTED.search(text, end):
        end = match.end()
        are_secret = [names(column.strip(' "`[]')) for column in match["columns"].split(",")]
        if any(are_secret):
            end = yield from _columns(text, end, are_secret)


def _columns(text: str, start: int, are_secret: Sequence[bool]) -> Generator[Span, None, int]:
    """Find the values of some columns in rows; return where the last row ends."""
    number = 0
    while column := _COLUMN.match(text, start):
        value = column["value"].rstrip()
        if number < len(are_secret) and are_secret[number] and not _STANDS_FOR.fullmatch(value):
            yield column.start("value"), column.start("value") + len(value)
        if not column["end"]:
            return column.end()
        start, number = column.end(), number + 1 if column["end"] == "," else 0
    return start


def commanded(text: str, seen: bytes) -> list[Span]:
    """Find the secrets in commands, in order; they may overlap.

    Args:
        text: the text.
        seen: what was seen in it.

    """
    found: list[Span] = []
    if PARTED.may_be_in(seen) and BEFORE.may_be_in(seen):
        found += _positions(text)
    if b"/" in seen and _LOGON.may_be_in(seen):
        found += _logons(text)
    if OPTIONS.may_be_in(seen):
        found += _options(text)
    return sorted(found)


def _positions(text: str) -> Iterator[Span]:
    end = 0
    while match := BEGINNING().search(text, end):
        start = match.end()
        end = _operand_end(text, start)
        yield start, end
        if match["both"] is not None and (another := _ANOTHER.match(text, end)):
            end = _operand_end(text, another.end())
            yield start, end
        elif second := _SECOND.match(text, end):
            end = _operand_end(text, second.end())
            yield second.end(), end


def _logons(text: str) -> Iterator[Span]:
    end = 0
    while match := _LOGON.pattern.search(text, end):
        end = end_of(_LOGON_SECRET.match(text, match.end()), match.end())
        yield match.end(), end


def _options(text: str) -> Iterator[Span]:
    """Find the values of options that take a secret, each with the program that is called."""
    reader: re.Pattern[str] | None = None
    once = False
    end = 0
    for part in _COMMAND().finditer(text):
        if part.start() < end:
            continue
        kind = part.lastgroup or ""
        if kind == "option":
            if reader and (option := reader.match(text, part.start())):
                end = _operand_end(text, option.end())
                yield option.end(), end
                reader = None if once else reader
        elif kind.startswith("program"):
            reader, once = _READERS[int(kind.removeprefix("program"))](), part[0] == _ONCE
        else:
            reader = None


def _operand_end(text: str, start: int) -> int:
    """Find the end of a command's operand: quoted, or a word."""
    if dollars := _DOLLARS.match(text, start):
        return dollars.end()
    return end_of(OPERAND.match(text, enclosed_end(text, start)), len(text))
