"""Secrets known by their own look, wherever they stand: tokens, keys, users in addresses, cards."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from otel_embedder.text.marks import Marked, any_of, words_marks
from otel_embedder.text.patterns import late

if TYPE_CHECKING:
    from collections.abc import Iterator

    Span = tuple[int, int]

# What is known for ids, which everybody may see: of payments, calls of tools, queues.
_IDS = (
    r"(?!(?:acct|asst|ba|batch|bpc|call|cart|ch|chatcmpl|cmpl|cs|ctag|cus|cust|customer|doc|event|evt"
    r"|fc|file|fm[12][ar]?|ft|gen|ii|in|inv|invoice|item|job|message|msg|obj|ord|order|org|pay|payment|pi|pm|po"
    r"|price|prod|product|py|re|req|request|resp|rs|run|seti|si|span|src|step|sub|task|team|thread"
    r"|tool|toolu|tr|trace|txn|user|usr|vs|ws)[_-])"
)
# Where a word begins, also behind what stands for a character in a URL or in JSON.
_BEGINNING = r"(?:(?<![A-Za-z\d])|(?<=%[\dA-Fa-f]{2})|(?<=\\[nrt]))"
_GITLAB = ["agent", "cbt", "dt", "ffct", "ft", "imt", "oas", "pat", "ptt", "rt", "rtr", "soat"]
# What a token of each maker has, and of any.
_TOKEN_WORDS = (
    *("eyJ", "AKIA", "ASIA", "ABIA", "ACCA", "A0T", "LTAI", "AIza", "ya00.", "GOCSPX-", "0//0"),
    *(f"gh{kind}_" for kind in "opusr"),
    *(f"gl{kind}-" for kind in _GITLAB),
    *("github_pat_", "glc_", "glsa_", "xox", "xapp-", "hooks.slack", "api/webhooks"),
    *("k_live_", "k_test_", "k_prod_", "whsec_", "sk-", "SG.", "SK[0a-f]{32}", "SG[0a-f]{32}"),
    *("key-[0a-f]{32}", "npm_", "pypi-A", "hf_", "doo_v0_", "dop_v0_", "dor_v0_"),
    *("dapi[0a-f]{32}", "dp.[a-z]", "hvb.", "hvs.", "hvr.", "shpat_", "shpca_", "shppa_", "shpss_"),
    *("lin_api_", "PMAK-", "NRAK-", "sq0[a-z]{3}-", ":AA", "fm0", "xkeysib-", "pul-", "dckr_"),
    *("figd_", "xai-", "pplx-", "nvapi-", "_[a-zA-Z0]{20}"),
)
_TOKEN = Marked(
    late(
        _BEGINNING
        + r"""(?:
        eyJ[\w+/=-]{13,}+(?:\.[\w+/=-]*+)*+                 # JSON in base64, as of a JWT
        |(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z\d])[A-Z\d]{16}      # AWS
        |LTAI[A-Za-z\d]{16,}+                               # Alibaba
        |gh[opusr]_\w{16,}+|github_pat_\w{16,}+
        |gl(?:"""
        + "|".join(_GITLAB)
        + r""")-[\w.-]{16,}+
        |xox[a-z]-[\w.-]{11,}+|xapp-\d-[\w-]{10,}+          # Slack
        |hooks\.slack\.com/[\w/]{16,}+
        |discord(?:app)?\.com/api/webhooks/[\w/-]{16,}+
        |[spr]k_(?:live|test|prod)_\w{8,}+|whsec_[\w+/=-]{16,}+  # Stripe
        |sk-[\w-]{20,}+                                     # OpenAI, Anthropic
        |AIza[\w-]{30,}+|ya29\.[\w.-]{16,}+|GOCSPX-[\w-]{16,}+|1//0[\w-]{20,}+  # Google
        |SG\.[\w-]{16,}+\.[\w-]{16,}+                       # SendGrid
        |S[KG][\da-f]{32}|key-[\da-f]{32}                   # Twilio, Mailgun
        |npm_[A-Za-z\d]{30,}+|pypi-AgE[\w-]{16,}+|hf_[A-Za-z\d]{30,}+
        |do[opr]_v1_[\da-f]{32,}+|dapi[\da-f]{32}           # DigitalOcean, Databricks
        |dp\.[a-z]{2,5}\.\w{32,}+|hv[bsr]\.[\w-]{20,}+      # Doppler, Vault
        |shp(?:at|ca|pa|ss)_[\da-fA-F]{32}                  # Shopify
        |lin_api_\w{32,}+|PMAK-[\w-]{32,}+|NRAK-[\w-]{20,}+ # Linear, Postman, New Relic
        |gl(?:c|sa)_[\w+/=-]{20,}+|sq0[a-z]{3}-[\w-]{20,}+  # Grafana, Square
        |\d{8,10}:AA[\w-]{30,}+                             # Telegram
        |fm[12][ar]?_[\w+/=-]{20,}+                          # Fly
        |xkeysib-[\da-f]{32,}+-\w++|pul-[\da-f]{32,}+       # Brevo, Pulumi
        |dckr_[a-z]{3}_[\w-]{20,}+|figd_[\w-]{20,}+         # Docker, Figma
        |(?:xai|pplx|nvapi)-[\w-]{20,}+                     # xAI, Perplexity, NVIDIA
        # Whoever made it, behind a short prefix: letters and digits without a name in them, for
        # digits stand in three places, or are many, or no five letters of a case stand together.
        |(?<![%\\])"""
        + _IDS
        + r"""(?:[A-Za-z\d]{1,16}_){1,2}
         (?=\d*+[A-Za-z])(?=[A-Za-z]*+\d)
         (?:(?=(?:[A-Za-z]*+\d++){3})|(?=(?:[A-Za-z]*+\d){8})
           |(?![A-Za-z\d]*?(?:[a-z]{5}|[A-Z]{5})))
         [A-Za-z\d]{20,}+[\w-]*+
    )
    """,
        re.VERBOSE,
    ),
    words_marks(_TOKEN_WORDS),
)
# Whoever made it, behind a short prefix, with `_` and `-` within.
_SHAPED = Marked(
    late(
        rf"(?<![A-Za-z\d%\\_-]){_IDS}[A-Za-z][A-Za-z\d]{{0,15}}[_-]"
        r"(?=[\w-]{0,64}\d)(?=[\w-]{0,64}[a-z])(?=[\w-]{0,64}[A-Z])(?P<random>[\w+-]{20,}+=*+)",
        re.ASCII,
    ),
    rb"-(?=[a-z0_-]{0,64}[A-Z])[a-zA-Z0_+-]{20}|_(?=[a-z0_-]{0,64}[A-Z])[a-zA-Z0_+-]{20}",
)
# Names turn from small letters to capitals, or from letters to digits, now and then; what is
# random does so at two of five places.
_TURN = re.compile(r"(?=[a-z][A-Z]|[A-Za-z]\d|\d[A-Za-z])")
_TURNS = 0.26
_PRIVATE_KEY = Marked(
    late(
        # Its first line alone must stay, for the others to be known by it.
        r"-----BEGIN [A-Z ]{0,32}PRIVATE KEY[A-Z ]{0,8}-----(?!\s*+\Z)"
        r"(?:[^-]|-(?!----END))*+(?:-----END[A-Z ]{0,40}-----)?"
    ),
    b"PRIVATE KEY",
)
_SAID = Marked(
    late(
        _BEGINNING
        + r"""(?:
    bearer(?:\s|\+|%20)++
        (?!(?:auth\w*|tokens?|schemes?|realm|errors?|formats?|headers?|challenges?|credentials?
            |type|is|or|and|was|not)(?![\w~+/-]))
        [\w.~+/=-]{4,}+
    |basic(?:\s|\+|%20)++(?=[\w+/]*?(?-i:[a-z][A-Z]|\d|=))[\w+/]{8,}+=*+
    )
    """,
        re.VERBOSE | re.IGNORECASE,
    ),
    rb"b(?i:earer|asic)[ +%]|B(?i:earer|asic)[ +%]",
)
_USER = Marked(
    late(
        r"""
    # scheme://user:password@host, but neither a port nor a host
    (?<=://)[^\s/@:?#"'<>]{0,128}+:(?!\d{1,5}(?:[/?#,\s]|\Z))
        [^\s@"'<>]{1,256}+(?:@[^\s@?#"'<>]{0,128}+(?=@))*+(?=@)
    |(?<=://)[\w.~%+-]{16,256}+(?=@)
    # user:password@host, but neither mailto: nor an image's tag before its digest
    |(?<![\w.%+@:/-])(?!(?:mailto|sips?|acct|e?-?mail|to|from|b?cc|xmpp|npm):)
        [\w.%+-]{1,64}+:[^\s:@/"'<>,;]{1,128}+(?=@(?!sha\d)[\w\[(])
    """,
        re.VERBOSE | re.IGNORECASE,
    ),
    b"@",
)

# Only the first digit is read on, for four others may stand before a card's first four.
_CARD = Marked(
    late(
        r"""
    [2-6](?<!\d.)(?<!\d\..)(?=(?P<rest>
        \d{12,18}(?!\d)
        |\d{3}(?P<gap>[ .-])\d{4}(?P=gap)\d{4}(?P=gap)\d{4}(?!\d)
        |\d{3}[ .-]\d{6}[ .-]\d{4,5}(?!\d)
    ))
    """,
        re.VERBOSE,
    ),
    rb"0000(?:0{9}|[ .-](?:0000[ .-]0000[ .-]0000|000000[ .-]0000))",
)
LOOKS = any_of(_TOKEN, _SHAPED, _PRIVATE_KEY, _SAID, _USER, _CARD)
_NO_GAPS = str.maketrans("", "", " .-")
# Of every other digit counts the double, or the sum of that one's digits.
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def without_looks(text: str, seen: bytes, word: str) -> str:
    """Put a word in the place of each token, key and user's password.

    A token is one that a list of makers knows, or one that nobody takes for a name.
    """

    def hidden(match: re.Match[str]) -> str:
        random = match["random"]
        return word if len(_TURN.findall(random)) >= _TURNS * len(random) else match[0]

    text = _TOKEN.sub(word, _SHAPED.sub(hidden, text, seen), seen)
    text = _PRIVATE_KEY.sub(word, text, seen)
    return _USER.sub(word, _SAID.sub(word, text, seen), seen)


def cards(text: str, seen: bytes) -> Iterator[Span]:
    """Find the numbers that have a card's length, first digit and check digit."""
    if not _CARD.may_be_in(seen):
        return
    for match in _CARD.pattern.finditer(text):
        end = match.end("rest")
        digits = [*map(int, text[match.start() : end].translate(_NO_GAPS))]
        doubled = map(_DOUBLED.__getitem__, digits[-2::-2])
        if (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0:
            yield match.start(), end
