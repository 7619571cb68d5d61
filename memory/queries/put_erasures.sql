-- The bytes of these forgettings are gone.
INSERT INTO memory_system.erasures (receipt, scrubbed)
SELECT receipt, $2
FROM unnest($1::text[]) AS asked (receipt)
ON CONFLICT (receipt) DO NOTHING
