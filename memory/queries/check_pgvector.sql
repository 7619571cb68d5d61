-- The extension's version, if its arithmetic works.
SELECT extversion AS version, '[3,4]'::vector <-> '[0,0]'::vector AS distance
FROM pg_extension
WHERE extname = 'vector'
