"""Whether a mesh is well: it takes a write, and says that it is healthy."""

import httpx


async def unwell(http: httpx.AsyncClient, url: str, *, persisted: bool) -> str:
    """What is not as it should be now; empty where all is. `persisted`: the write must be in PostgreSQL, and not on the log alone."""
    wait = "?wait=persisted" if persisted else ""
    try:
        answer = await http.post(f"{url}/memory/action{wait}", json={"action_type": "well", "agent_id": "well"})
        if not answer.is_success or (persisted and answer.status_code != httpx.codes.CREATED):
            return f"a write{' that is to be persisted' if persisted else ''} was answered with {answer.status_code}"
        health = (await http.get(f"{url}/health")).json()
    except (httpx.HTTPError, ValueError) as e:
        return f"{type(e).__name__}: {e}"
    if health["status"] == "healthy":
        return ""
    parts = health["components"]
    parts |= parts.pop("agents") | parts.pop("memory_components")
    return f"not healthy: { {name: part['detail'] for name, part in parts.items() if part['status'] != 'healthy'} }"
