"""BM25 alone: bm25s with its defaults, words stemmed, the stop words handed in (its own short list costs it five points on LoCoMo).

Run by the interpreter of bench/requirements.txt.
"""

import json
import sys

import bm25s
import Stemmer


def tokens(texts: list[str], stop_words: list[str]) -> object:
    return bm25s.tokenize(texts, stopwords=stop_words, stemmer=Stemmer.Stemmer("english"), show_progress=False)


def main() -> None:
    """One index for each scope, and one of everything; the answers in the order of the questions."""
    asked = json.load(sys.stdin)
    scopes: dict[str | None, list[dict[str, str]]] = {None: asked["documents"]}
    for document in asked["documents"]:
        scopes.setdefault(document["scope"], []).append(document)
    rankings: list[list[str]] = [[] for _ in asked["questions"]]
    for scope, documents in scopes.items():
        places = [place for place, question in enumerate(asked["questions"]) if question["scope"] == scope]
        if places:
            index = bm25s.BM25()
            index.index(tokens([document["text"] for document in documents], asked["stop_words"]), show_progress=False)
            words = tokens([asked["questions"][place]["text"] for place in places], asked["stop_words"])
            found, _ = index.retrieve(words, k=min(asked["limit"], len(documents)), show_progress=False)
            for place, row in zip(places, found, strict=True):
                rankings[place] = [documents[number]["ident"] for number in row]
    json.dump({"rankings": rankings, "version": bm25s.__version__}, sys.stdout)


main()
