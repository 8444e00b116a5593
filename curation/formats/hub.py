"""An export on the Hugging Face Hub: made whole on this disk, then sent in one commit.

Cost: the network. What the Hub has already is not sent again, so a push that broke goes on.
"""

from __future__ import annotations

import re
from typing import Any

from curation.errors import HubError, InputError, MissingExtra
from curation.formats.manifest import WORK
from curation.shown import brief

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")


def need_hub(repo: str) -> None:
    """Raise, before an export begins, what would keep it from the Hub and can be known here: a name
    that is none, no client, no token."""
    if not _NAME.fullmatch(repo):
        raise InputError(f"--push: OWNER/NAME expected, got {brief(repo)}")
    if not _client().get_token():
        raise HubError(
            "the Hub needs a token with the right to write: set HF_TOKEN, or log in with "
            "`hf auth login`, and run the same command again"
        )
    _asked(repo, lambda api: api.whoami())


def push(folder: str, repo: str, *, private: bool = False) -> str:
    """Send a folder that `export` wrote to the data set `repo`; returns its address.

    Files under data/ that the folder no longer has are removed there. Raises HubError, one sentence,
    where the Hub refuses.
    """

    def send(api: Any) -> str:
        made = api.create_repo(repo, repo_type="dataset", private=private, exist_ok=True)
        api.upload_folder(
            folder_path=folder,
            repo_id=repo,
            repo_type="dataset",
            commit_message="Made with curation",
            ignore_patterns=[f"{WORK}/*", "run.lock"],
            delete_patterns=["data/*"],
        )
        return str(made)

    return str(_asked(repo, send))


def _client() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingExtra("--push", "hub") from error
    return huggingface_hub


def _asked(repo: str, ask: Any) -> Any:
    """The Hub's answer. What it refuses is one sentence with what to do."""
    client = _client()
    failure = client.errors.HfHubHTTPError
    try:
        return ask(client.HfApi())
    # The first base of its errors is the root of all that its connections raise; a RuntimeError
    # wraps the error of one file.
    except (failure, failure.__bases__[0], OSError, RuntimeError) as error:
        cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
        raise HubError(f"{repo}: {_sentence(getattr(cause, 'response', None), cause)}") from error


_REASONS = {
    401: "the Hub does not know the token; set HF_TOKEN to one with the right to write",
    402: "the Hub has no space left for its owner; free some there, or push to another owner",
    403: "the Hub does not let this token write there; use one with that right, and a name that its "
    "owner has, or free space there",
    413: "the Hub does not take so much at once; export with a smaller --max-file-mb",
    507: "the Hub has no space left for its owner; free some there, or push to another owner",
}


def _sentence(response: Any, error: BaseException) -> str:
    status = getattr(response, "status_code", None)
    told = " ".join(str(getattr(error, "server_message", "") or "").split())[:200]
    if status in _REASONS:
        return _REASONS[status] + (f" (it says: {told})" if told else "")
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return (
        f"the Hub could not be asked ({told or first}); the export is whole, run the same command"
    )
