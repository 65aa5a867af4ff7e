# What `ratchet submit --print` writes, as desired properties of an Azure twin:
#
#   ratchet submit job.yaml --to device/gw-7 --print | jq -Rs -f twin.jq
#
# A twin holds strings of at most 4 KB: the text goes in pieces of a thousand
# characters, of which none takes more than four bytes.
rtrimstr("\n") as $text
| (($text | fromjson | select(has("job"))) // {job: $text})
| {jobs: {(.job | fromjson | .id): ({
    t: (.job | [range(0; length; 1000) as $i | .[$i:$i + 1000]] | to_entries | map({key: (.key | tostring), value}) | from_entries),
    signature, rollout} | with_entries(select(.value != null)))}}
