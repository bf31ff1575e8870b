#!/bin/bash
# What a good technician would write in an afternoon: watch, transcode for the screens, make the radio's sound, publish, keep.
# usage: naive.sh INBOX OUT COUNT PORT
set -u
inbox=$1 out=$2 count=$3 port=$4
done=0
inotifywait -m -q -e close_write -e moved_to --format '%f' "$inbox" | while read -r name; do
  stem=${name%.*}
  for size in 1280:720 768:384; do
    film="$out/$stem-${size%:*}.mp4"
    fit="scale=$size:force_original_aspect_ratio=decrease:force_divisible_by=2,pad=$size:-1:-1,setsar=1,fps=25"
    ffmpeg -nostdin -v error -y -i "$inbox/$name" -map 0:v:0 -an -vf "$fit" -c:v libx264 -preset veryfast -crf 23 \
      -maxrate 6000k -bufsize 12000k -g 50 -pix_fmt yuv420p -movflags +faststart "$film"
    mosquitto_pub -h 127.0.0.1 -p "$port" -q 1 -t "led/v1/${size%:*}" -f "$film"
  done
  ffmpeg -nostdin -v error -y -i "$inbox/$name" -vn -af loudnorm=I=-16:TP=-1.5 -ar 48000 -ac 2 "$out/$stem.wav"
  cp "$inbox/$name" "$out/archive-$name"
  done=$((done + 1))
  if [ "$done" -eq "$count" ]; then touch "$out/finished"; exit 0; fi
done
