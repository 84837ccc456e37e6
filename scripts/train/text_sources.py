"""Where freely licensed English prose comes from: Debian 12 packages and the repository's corpus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prose_dictionaries import devil_blocks, jargon_blocks
from text_readers import (
    Files,
    RawDocument,
    read_austen,
    read_bible,
    read_dict,
    read_html,
    read_mallard,
    read_novel,
    read_plain,
    read_pod,
    read_rst,
)

TRAIN, HELD_OUT, UNSEEN = "train", "heldout", "unseen"


@dataclass(frozen=True)
class Source:
    """Where a source's text is and how it is read; without a package, in the repository's corpus."""

    name: str
    what: str
    licence: str
    patterns: tuple[str, ...]
    read: Callable[[Files], Iterator[RawDocument]]
    package: str = ""
    split: str = TRAIN
    excluded: str = ""
    """A regular expression for paths below the package's root."""
    max_chars: int = 5_000_000
    filtered: bool = True
    """False: literature, taken without the filters that are for manuals."""

    def licence_path(self) -> str:
        return f"/usr/share/doc/{self.package}/copyright" if self.package else "data/corpus/README.md"


DOC = "usr/share/doc"
PAGES_LEFT_OUT = (
    r"(index|genindex|search|toc|lo[ft]|colophon|license|licence|legal\w*|copyright|biblio\w*|credits?)\b[^/]*$"
)

SOURCES = [
    Source(
        "sotu", "State of the Union addresses", "PDDL-1.0 and CC0-1.0 (the texts: public domain)", ("sotu/*.txt",),
        read_plain, filtered=False, max_chars=20_000_000,
    ),
    Source(
        "austen", "the six novels of Jane Austen", "MIT (the package; the novels: public domain)",
        ("usr/lib/R/site-library/janeaustenr/data/Rdata.rdb",), read_austen, "r-cran-janeaustenr", filtered=False,
    ),
    Source(
        "kjv", "the Bible, King James Version", "public domain (copyright expired); the file: free to copy and modify",
        ("usr/lib/bible.data",), read_bible, "bible-kjv-text", filtered=False,
    ),
    Source(
        "anarchism", "An Anarchist FAQ", "GPL-2", (f"{DOC}/anarchism/html/*.html",), read_html, "anarchism",
        max_chars=4_000_000,
        excluded=r"(links|biblio|book|contact|index|pdf|quotes|new|translations|supplementary)[^/]*$",
    ),
    Source(
        "python", "Python 3.11 manuals", "PSF-2.0",
        tuple(
            f"{DOC}/python3.11/html/_sources/{x}"
            for x in ("tutorial/*", "howto/*", "faq/*", "reference/*", "extending/*", "using/*", "library/*", "c-api/*",
                      "distutils/*", "whatsnew/3*", "glossary.rst.txt")
        ),
        read_rst, "python3.11-doc", max_chars=3_200_000, excluded=r"(index|changelog|license|contents)\b[^/]*$",
    ),
    Source(
        "postgresql", "PostgreSQL 15 manual", "PostgreSQL", (f"{DOC}/postgresql-doc-15/html/*.html",), read_html,
        "postgresql-doc-15", max_chars=3_000_000,
        excluded=r"(bookindex|biblio|legalnotice|index|release[^/]*|errcodes-appendix|sql-keywords-appendix"
        r"|contrib|view-|catalog-|infoschema-)[^/]*$",
    ),
    Source(
        "perl", "Perl 5.36 manuals", "GPL-1+ or Artistic", ("usr/share/perl/5.36.0/pod/perl*.pod",), read_pod,
        "perl-doc", max_chars=3_200_000,
        excluded=r"perl(toc|cn|jp|ko|tw|gpl|artistic|uniprops|modlib|hist|delta|boot|bot|toot|tooc|todo|repository"
        r"|cheat|5\d+[1-9]delta|58\ddelta|561delta)\.pod$",
    ),
    Source(
        "jargon", "the Jargon File 4.4.7", "public-domain", ("usr/share/dictd/jargon.dict.dz",),
        read_dict(jargon_blocks), "dict-jargon",
    ),
    Source(
        "developers-reference", "Debian Developer's Reference", "GPL-2", ("usr/share/developers-reference/*.html",),
        read_html, "developers-reference", excluded=PAGES_LEFT_OUT,
    ),
    Source(
        "debian-policy", "Debian Policy Manual and sub-policies", "GPL-2+ (debconf specification: BSD-3-clause)",
        (f"{DOC}/debian-policy/policy.html/*.html", f"{DOC}/debian-policy/*policy-1.html",
         f"{DOC}/debian-policy/debconf_specification.html"),
        read_html, "debian-policy", excluded=PAGES_LEFT_OUT + r"|ap-license|ap-flowcharts",
    ),
    Source(
        "debian-reference", "Debian Reference", "GPL-2+", ("usr/share/debian-reference/*.en.html",), read_html,
        "debian-reference-en", excluded=PAGES_LEFT_OUT,
    ),
    Source(
        "harden-doc", "Securing Debian Manual", "GPL-2.0 (the notice: version 2 or any later version)",
        (f"{DOC}/harden-doc/html/en-US/*.html",), read_html, "harden-doc", excluded=PAGES_LEFT_OUT,
    ),
    Source(
        "aptitude-doc", "aptitude user's manual", "GPL-2+", (f"{DOC}/aptitude/html/en/*.html",), read_html,
        "aptitude-doc-en", excluded=PAGES_LEFT_OUT + r"|/ld-",
    ),
    Source(
        "debian-history", "A Brief History of Debian", "GPL-2+", (f"{DOC}/debian-history/docs/*.en.html",), read_html,
        "debian-history", excluded=PAGES_LEFT_OUT,
    ),
    Source(
        "debian-faq", "The Debian FAQ", "verbatim and modified copies under the same terms (the FAQ's own notice)",
        (f"{DOC}/debian/FAQ/*.en.html",), read_html, "debian-faq", excluded=PAGES_LEFT_OUT,
    ),
    Source(
        "png-guide", "PNG: The Definitive Guide", "GFDL-1.1+ (no invariant sections, no cover texts)",
        (f"{DOC}/png-definitive-guide/html/*.html",), read_html, "png-definitive-guide",
        excluded=PAGES_LEFT_OUT + r"|fig_|contact|references",
    ),
    Source(
        "linux-doc", "Linux 6.1 documentation", "GPL-2",
        tuple(
            f"{DOC}/linux-doc-6.1/Documentation/{x}/**/*.rst.gz"
            for x in ("process", "admin-guide", "filesystems", "maintainer", "doc-guide", "kernel-hacking", "core-api",
                      "RCU", "mm", "security", "scheduler", "locking", "dev-tools", "timers", "livepatch", "networking",
                      "driver-api", "block", "power", "trace")
        ),
        read_rst, "linux-doc-6.1", max_chars=3_000_000,
        excluded=r"(index|kernel-parameters|devices|license-rules)[^/]*$",
    ),
    Source(
        "gnucash", "GnuCash Tutorial and Concepts Guide", "GFDL-NIV-1.1+",
        (f"{DOC}/gnucash-docs/gnucash-guide-en/*.html",), read_html, "gnucash-docs",
        excluded=PAGES_LEFT_OUT + r"|fdl|appendixe",
    ),
    Source(
        "gnome-help", "GNOME 43 help", "CC-BY-SA-3.0", ("usr/share/help/C/*/*.page",), read_mallard, "gnome-user-docs",
    ),
    Source(
        "moby-dick", "Moby-Dick; or, The Whale", "CC0-1.0", ("moby-dick.txt",), read_novel, split=UNSEEN,
        filtered=False,
    ),
    Source(
        "debian-handbook", "The Debian Administrator's Handbook", "GPL-2.0+ or CC-BY-SA-3.0",
        (f"{DOC}/debian-handbook/html/en-US/*.html",), read_html, "debian-handbook", split=UNSEEN,
        excluded=PAGES_LEFT_OUT,
    ),
    Source(
        "rust-book", "The Rust Programming Language", "MIT or Apache-2.0", (f"{DOC}/rust-doc/html/book/*.html",),
        read_html, "rust-doc", split=UNSEEN, excluded=r"(index|print|toc|404|SUMMARY)[^/]*$",
    ),
    Source(
        "devil", "The Devil's Dictionary", "public domain (copyright expired)", ("usr/share/dictd/devil.dict.dz",),
        read_dict(devil_blocks), "dict-devil", split=UNSEEN, filtered=False,
    ),
]  # fmt: skip
