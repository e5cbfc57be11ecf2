/** Small line drawings; they say nothing that the words beside them do not. */

const PATHS = {
  pan: "M8 2v12M2 8h12M8 2 6 4M8 2l2 2M8 14l-2-2M8 14l2-2M2 8l2-2M2 8l2 2M14 8l-2-2M14 8l-2 2",
  lasso:
    "M8 3c3.3 0 6 1.6 6 3.7S11.300 10.400 8 10.400 2 8.800 2 6.700 4.700 3 8 3zM4.500 9.700c-1 1.300-.2 2.600 1.300 2.300M5.800 12c0 1-.6 1.800-1.600 2",
  box: "M2.500 3.500h11v9h-11zM2.500 6v-2.500h2.500M13.500 10v2.500h-2.500",
  areaNew: "M13 8A5 5 0 1 1 3 8a5 5 0 0 1 10 0z",
  areaAdd: "M11 9.500a4.500 4.500 0 1 1-9 0 4.500 4.500 0 0 1 9 0zM12.500 1.500v4M10.500 3.500h4",
  areaLess: "M11 9.500a4.500 4.500 0 1 1-9 0 4.500 4.500 0 0 1 9 0zM10.500 3.500h4",
  sight: "M2 5V2h3M14 5V2h-3M2 11v3h3M14 11v3h-3M5 5.500h6v5H5z",
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  whole: "M3 6V3h3M13 6V3h-3M3 10v3h3M13 10v3h-3",
  close: "M4 4l8 8M12 4l-8 8",
  check: "M3 8.500 6.500 12 13 4.500",
  flag: "M4 14V2.500h7.500L10 5.500l1.500 3H4",
  tag: "M2.500 2.500h5l6 6-5 5-6-6zM5.300 5.300h.01",
  send: "M2.500 8 13.500 3 10 13.500 7.500 9z",
  undo: "M6 3.500 2.500 7 6 10.500M2.500 7H10a3.500 3.500 0 0 1 0 7H7",
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM10.700 10.700 14 14",
  filter: "M2 4h12M4.500 8h7M6.500 12h3",
  down: "M4 6l4 4 4-4",
  right: "M6 4l4 4-4 4",
  open: "M9 3h4v4M13 3 7.500 8.500M11 9.500V13H3V5h3.500",
  like: "M3 3h4v4H3zM9 3h4v4H9zM3 9h4v4H3zM9 11h4M11 9v4",
  sun: "M8 10.500a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5zM8 1.500V3M8 13v1.500M1.500 8H3M13 8h1.500M3.500 3.500l1 1M11.500 11.500l1 1M3.500 12.500l1-1M11.500 4.500l1-1",
  moon: "M13 9.500A5.500 5.500 0 0 1 6.500 3 5.500 5.500 0 1 0 13 9.500z",
  keys: "M2 4h12v8H2zM4.500 6.500h.01M7 6.500h.01M9 6.500h.01M11.500 6.500h.01M5 9.500h6",
  star: "M8 2l1.800 3.900 4.200.5-3.100 2.900.8 4.200L8 11.400l-3.700 2.100.8-4.200L2 6.400l4.200-.5z",
  run: "M5 3l8 5-8 5z",
  retry: "M13 8a5 5 0 1 1-1.500-3.500M13 2.500v2.500h-2.500",
  odd: "M8 8h.01M3.500 4.500h.01M12.500 4.500h.01M3.500 11.500h.01M12.500 11.500h.01M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
